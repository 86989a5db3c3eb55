"""Training: the loop, checkpoints, strategies, optimizers, and the trainers of classifiers.

Read in this order:

    student_training.py  train_student: trains a student in place and tests it
    student_checks.py    student, data, recipe and teacher must fit together
    classifier.py        the trainer of classifiers on labels
    distillation.py      the loss on labels, a teacher's answers and its maps
    staged_teachers.py   several teachers, one after another (PWKD)
    kept_answers.py      the teacher's answers on disk, once for several trainings
    loop.py              epochs and steps, curves, resuming to the same bits
    checkpoints.py       variables and position on disk; SIGTERM
    kept_weights.py      moving averages, and the weights of the best epoch
    optimizers.py        optimizers, weight decay and learning rates of a recipe
    training_twin.py     a model's copy with faster layers, for training only
    cpu_gradients.py     the fast gradients in that copy
    strategies.py        one device, several, several machines, or a TPU
    workers.py           the workers of several machines: TF_CONFIG, and waiting for them
    determinism.py       the same seed gives the same result
    tensorboard.py       event files with curves and images
"""
