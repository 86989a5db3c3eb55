"""DNA for TensorFlow and Keras: block-wise neural architecture search by distillation.

    import dna_tf

    images = dna_tf.load_images("digits", image_size=32, seed=0)
    teacher = dna_tf.cut_teacher("my_teacher.keras", images, space=dna_tf.get_space("digits"))

docs/api.md lists the public names. Each is loaded on first use, so `import dna_tf`, and
whatever reads tables only, loads no TensorFlow.
"""

import importlib
import os
import sys
import typing

if typing.TYPE_CHECKING:  # what editors and type checkers see
    from dna_tf.config import recipes as recipes
    from dna_tf.config.run_config import default_config as default_config
    from dna_tf.data.loading import images_from_arrays as images_from_arrays
    from dna_tf.data.loading import load_images as load_images
    from dna_tf.evaluation.measuring import evaluate as evaluate
    from dna_tf.export.exporter import export_tflite as export_tflite
    from dna_tf.inheritance.compressing import compress as compress
    from dna_tf.models.students import build_model as build_model
    from dna_tf.phases.runs import open_run as open_run
    from dna_tf.search.angle_search import find_largest_angles as find_largest_angles
    from dna_tf.search.finding import find_best as find_best
    from dna_tf.search.finding import find_front as find_front
    from dna_tf.search.finding import search_problem as search_problem
    from dna_tf.space.angle_sums import AngleSums as AngleSums
    from dna_tf.space.architectures import Architecture as Architecture
    from dna_tf.space.cost_limits import Limits as Limits
    from dna_tf.space.presets import get_space as get_space
    from dna_tf.space.spaces import SearchSpace as SearchSpace
    from dna_tf.space.tasks import Task as Task
    from dna_tf.space.zoo import load_architecture as load_architecture
    from dna_tf.supernet.cell_angles import angles as angles
    from dna_tf.supernet.cell_rating import rate_cells as rate_cells
    from dna_tf.supernet.cell_training import train_cells as train_cells
    from dna_tf.teachers.building import cut_teacher as cut_teacher
    from dna_tf.training.student_training import train_student as train_student
    from dna_tf.truth.block_weights import fit_block_weights as fit_block_weights
    from dna_tf.truth.ranking import rank_score as rank_score
    from dna_tf.truth.table_files import load_table as load_table

# Keras chooses its backend when it is imported. Another one, from the environment or keras.json,
# cannot run the models here; of one that is imported already `models.keras_settings` tells. NNX is
# for another backend only, and its package is looked for by all.
if "keras" not in sys.modules:
    os.environ.update(KERAS_BACKEND="tensorflow", KERAS_NNX_ENABLED="false")
# On x86 processors without instructions for 8-bit networks TensorFlow leaves oneDNN off, which
# trains a student 1.5 times as fast there. TensorFlow reads this when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"

# Public name -> the module that defines it, below `dna_tf`.
_MODULES = {
    "load_images": "data.loading",
    "images_from_arrays": "data.loading",
    "SearchSpace": "space.spaces",
    "get_space": "space.presets",
    "Task": "space.tasks",
    "Limits": "space.cost_limits",
    "Architecture": "space.architectures",
    "load_architecture": "space.zoo",
    "cut_teacher": "teachers.building",
    "train_cells": "supernet.cell_training",
    "rate_cells": "supernet.cell_rating",
    "search_problem": "search.finding",
    "find_best": "search.finding",
    "find_front": "search.finding",
    "angles": "supernet.cell_angles",
    "AngleSums": "space.angle_sums",
    "find_largest_angles": "search.angle_search",
    "build_model": "models.students",
    "train_student": "training.student_training",
    "compress": "inheritance.compressing",
    "evaluate": "evaluation.measuring",
    "export_tflite": "export.exporter",
    "load_table": "truth.table_files",
    "rank_score": "truth.ranking",
    "fit_block_weights": "truth.block_weights",
    "default_config": "config.run_config",
    "open_run": "phases.runs",
}
__all__ = [*_MODULES, "recipes"]


def __getattr__(name):
    if name == "recipes":
        value = importlib.import_module("dna_tf.config.recipes")
    elif name in _MODULES:
        value = getattr(importlib.import_module(f"dna_tf.{_MODULES[name]}"), name)
    else:
        raise AttributeError(f"module 'dna_tf' has no attribute {name!r}")
    globals()[name] = value  # the next use does not come here
    return value


def __dir__():
    return sorted({*globals(), *__all__})
