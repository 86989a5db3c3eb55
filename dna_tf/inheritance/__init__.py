"""Students that inherit: trained paths and a teacher's own blocks, put together and fine-tuned.

Read in this order:

    teacher_space.py       a search space that fits any teacher
    unlabelled.py          images without labels
    answers.py             how far a model's answers are from a teacher's
    path_weights.py        from the packed weights of a path to Keras layers
    realising.py           an assembly as one Keras model
    replacement_rating.py  rates paths by what the network loses with this one block replaced
    replacements.py        the same for all cells, kept in files
    choosing.py            the best assemblies settle by what they really do
    additivity.py          how far ratings of single blocks add up
    fine_tuning.py         labels, answers and maps of the teacher mend the seams
    smallest.py            the smallest student that is good enough, by bisection
    duration.py            how long it will take
    latency_limits.py      tables of latencies, and limits that need one
    compressing.py         all of it as one function
"""
