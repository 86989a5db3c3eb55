"""Tables of latencies measured on this host or on a phone.

Read in this order:

    graphs.py             the TFLite graph of a part of a network, a student or a published network
    teacher_graphs.py     the same of a teacher's parts and of students that inherit
    host.py               times graphs on this host
    benchmark_output.py   the flags and the output of the programs that time a graph on a phone
    phones.py             times graphs on a phone through adb
    elsewhere.py          graphs that are timed elsewhere: written out, and their times read
    measurements.py       what was measured so far: saved, resumed, repeated when noisy
    tables.py             the latency table made of it, with a correction fitted to whole networks
    validation.py         random students, and a table's errors on them
    sessions.py           one session: what to time, in which order, for one table
    random_assemblies.py  random students that inherit, for a table of their parts
"""
