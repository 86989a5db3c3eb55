"""What every room uses: files that survive a kill, checks, progress, seeds, statistics, text.

The files do not depend on each other:

    checks.py      checks of users' input, and their messages
    files.py       atomic writes, checked JSON, arrays
    formatting.py  numbers as text, aligned tables
    memory.py      the memory that a process may use
    progress.py    progress bars and printed lines
    seeding.py     seeds derived from names
    statistics.py  intervals of accuracies, rank correlation
    pictures.py    feature maps as pictures
"""
