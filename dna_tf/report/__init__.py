"""Pages, tables and figures from the results of a run.

Read in this order:

    run_data.py         a run as plain data, and its networks
    compression_data.py its students that inherit
    number_text.py      numbers as text and as cells of tables
    markup.py           pieces of HTML pages
    report_page.py      the report: one section after another
    front_section.py    its section on the Pareto front
    results_section.py  its section on accuracies and exports
    control_section.py  its section on searched students against random controls
    compression_section.py  its section on compressed students
    assembly_section.py  its section on the front from the teacher down
    additivity_section.py  its sections on how far ratings add up and repeat
    figures.py          the plotly figures of the sections
    map_images.py       feature maps as pictures
    diagram.py          a student as a diagram
    drawing.py          pieces that the SVG plots share
    scatter_plot.py     points and lines over two axes
    rating_plots.py     rating against cost, a panel for each cell
    choice_plot.py      cells and ops along the front
    ranking_page.py     ratings beside the accuracies of random networks (DNA Figure 4)
    progress_page.py    ratings while the cells train (DNA Figure 6)
    matrix_page.py      tables of experiments beside published ones (DNA Tables 4 and 5)
    result_tables.py    DNA's Table 2 with the results of several runs
    tradeoff_plot.py    DNA's Figure 3 with the results of several runs
"""
