"""What every room uses: files that survive a kill, checks, progress, seeds, statistics, text.

The files hardly depend on each other:

    checks.py         checks of users' input, and their messages
    commands.py       command lines of the tools, as messages print them
    archives.py       how much a zip archive may unfold to
    records.py        what the fields of a JSON file may be
    file_fields.py    the fields of the JSON files of a run, by kind
    method_fields.py  those of methods beside DNA
    study_fields.py   the same for studies of a run
    files.py          atomic writes, checked JSON, arrays
    locks.py          locks, so that two processes do not write the same files
    remote.py         remote folders: whether they can be reached
    formatting.py     numbers as text, aligned tables
    keras_json.py     Keras' file of settings: what in it ends the import of Keras
    memory.py         the memory that a process may use
    pipes.py          output that nobody reads, and streams that are closed
    progress.py       progress bars and printed lines
    seeding.py        seeds derived from names
    statistics.py     intervals of accuracies and of their differences
    rank_correlation.py Kendall's tau-b and others, with bootstrap intervals
    pictures.py       feature maps as pictures
"""
