"""The phases of a run in order, from nothing to a report."""

from dna_tf import (
    architecture_files,
    budget_search,
    distill,
    export,
    feature_maps,
    rating,
    report,
    retrain,
    teacher_training,
)


def search(workdir, config):
    """Searches for the config's budgets."""
    budget_search.search_budgets(workdir, config)


def retrain_all(workdir, config):
    """Trains the students of all budgets and the control, for all seeds."""
    for name in budget_search.all_names(config):
        retrain.retrain(workdir, config, architecture_files.find(name, workdir))


def export_all(workdir, config):
    """Exports the first student of each budget and of the control."""
    for name in budget_search.all_names(config):
        export.export_tflite(workdir, config, name)


def write_report(workdir, config):
    """Writes the report, with the feature maps of the chosen student."""
    chosen = architecture_files.find(budget_search.chosen_name(config), workdir)
    report.write_report(workdir.path, feature_maps.imitated_maps(workdir, config, chosen))


# (name, what it does, function of workdir and config)
PHASES = (
    ("teacher", "train it and cut it into blocks", teacher_training.train_teacher),
    ("supernet", "cells learn to imitate the blocks", distill.train_supernet),
    ("rating", "how well does each path imitate its block", rating.rate),
    ("search", "the best architecture under each budget, and a control", search),
    ("retraining", "students from scratch, beside the control", retrain_all),
    ("export", "TFLite files, checked against Keras", export_all),
    ("report", "all of it on one page", write_report),
)
