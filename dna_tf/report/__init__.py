"""Pages, tables and figures from the results of a run.

Read in this order:

    run_data.py         a run as plain data, and its networks
    number_text.py      numbers as text and as cells of tables
    markup.py           pieces of HTML pages
    report_page.py      the report: one section after another
    front_section.py    its section on the Pareto front
    results_section.py  its section on accuracies and exports
    control_section.py  its section on searched students against random controls
    figures.py          the plotly figures of the sections
    map_images.py       feature maps as pictures
    diagram.py          a student as a diagram
    drawing.py          pieces that the SVG plots share
    rating_plots.py     rating against cost, a panel for each cell
    choice_plot.py      cells and ops along the front
    result_tables.py    DNA's Table 2 with the results of several runs
    tradeoff_plot.py    DNA's Figure 3 with the results of several runs
"""
