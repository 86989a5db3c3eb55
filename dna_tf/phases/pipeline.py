"""The phases of a run in order, from the images to the report."""

from dna_tf.phases import (
    exporting,
    inheriting,
    rating,
    reporting,
    retraining,
    searching,
    supernet_training,
    teacher_training,
)
from dna_tf.report import report_page
from dna_tf.space import zoo


def search(workdir, config):
    """Searches for the config's budgets."""
    searching.search_budgets(workdir, config)


def retrain_all(workdir, config):
    """Trains the students of all budgets and the control, for all seeds."""
    for name in searching.all_names(config):
        retraining.retrain(workdir, config, zoo.find(name, workdir.architectures))


def export_all(workdir, config):
    """Exports the first student of each budget and of the control."""
    for name in searching.all_names(config):
        exporting.export_tflite(workdir, config, name)


def inherit(workdir, config):
    """Compresses the teacher to the chosen budget, and prints the student beside the others."""
    inheriting.print_comparison(workdir, config, inheriting.inherit(workdir, config))


def write_report(workdir, config):
    """Writes the report, with the feature maps of the chosen student."""
    chosen = zoo.find(searching.chosen_name(config), workdir.architectures)
    report_page.write_report(workdir.path, reporting.imitated_maps(workdir, config, chosen))


# (name, what it does, function of workdir and config)
PHASES = (
    ("teacher", "train it and cut it into blocks", teacher_training.train_teacher),
    ("supernet", "cells learn to imitate the blocks", supernet_training.train_supernet),
    ("rating", "how well does each path imitate its block", rating.rate),
    ("search", "the best architecture under each budget, and a control", search),
    ("retraining", "students from scratch, beside the control", retrain_all),
    ("export", "TFLite files, checked against Keras", export_all),
    ("inheriting", "the chosen budget again: paths keep what the cells have learned", inherit),
    ("report", "all of it on one page", write_report),
)
