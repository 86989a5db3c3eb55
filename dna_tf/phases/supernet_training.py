"""The supernet phase: the cells of a run's space learn to imitate the blocks of its teacher."""

import tensorflow as tf

from dna_tf.common import progress
from dna_tf.phases import runs
from dna_tf.space import presets
from dna_tf.supernet import cell_files, cell_training, phase_settings
from dna_tf.training import strategies


def train_supernet(workdir, config=None, strategy=None, retry_factor=0.0):
    """Trains the cells of the config's space on the run's teacher.

    Args:
        workdir: a run with a teacher, as `runs.open_run` takes it.
        config: its config; `supernet.cells` names the cells to train, `()` all of them.
        strategy: a `tf.distribute.Strategy`; the current one by default.
        retry_factor: above 0 only cells that diverged are trained, again, at their
            learning rate times this factor. Otherwise they are left out, with a warning:
            the same training would fail at the same step.

    Returns:
        A dict from the names of the trained cells to the contents of their result files.

    Raises:
        ValueError: config, teacher, data and space do not fit together; or all cells
            diverged.
    """
    # 1. The run, and which of its cells are to be trained.
    run = runs.open_run(workdir, config)
    workdir, config = run.workdir, run.config
    section, space = config.supernet, presets.get_space(config.space)
    try:
        names = cell_training.cells_to_train(space, section.cells, section.inputs)
    except cell_training.NoSuchCell as error:
        raise ValueError(
            f"{error} Name some of them in config.supernet.cells, on the command line each with a "
            "--config.supernet.cells=NAME of its own."
        ) from error

    # 2. Are they trained already?
    todo, failed = cell_training.cells_left(workdir.supernet, names, section.inputs, retry_factor)
    if not todo:
        cell_training.warn_left_out(workdir.supernet, failed)
        if not failed:
            problem = "No cell diverged" if retry_factor else "The cells are there already"
            progress.say(f"{problem}: {workdir.supernet}")

    # 3. Train; the results are written on the way.
    else:
        strategy = strategy or tf.distribute.get_strategy()
        with cell_files.writing(workdir.supernet, todo, strategies.is_chief(strategy)):
            _train(run, space, strategy, retry_factor)
    return {name: workdir.cell_result(name) for name in names if workdir.cell(name).exists()}


def _train(run, space, strategy, retry_factor):
    """Trains cells with the settings of a run."""
    workdir, config, section = run.workdir, run.config, run.config.supernet
    with strategy.scope():  # each replica gets a copy of the teacher
        teacher, images = run.teacher, run.images
    cell_training.train_cells(
        space,
        teacher,
        images,
        settings=phase_settings.of_section(
            phase_settings.SupernetSettings,
            section,
            cache_folder=section.cache_folder or str(workdir.features),
        ),
        seed=config.seed,
        cells=tuple(section.cells),
        folder=workdir.supernet,
        strategy=strategy,
        retry_factor=retry_factor,
        curves_folder=workdir.tensorboard / "supernet" if section.tensorboard else None,
        identify=False,
    )
