"""The rating phase: all paths of all trained cells of a run.

Several machines share the cells out by `share`.
"""

from dna_tf import workdirs
from dna_tf.common import progress
from dna_tf.phases import runs
from dna_tf.space import presets, spaces
from dna_tf.supernet import cell_files, cell_rating, phase_settings


def rate(workdir, config=None, share=(0, 1), devices=None):
    """Rates all paths of the cells of a run's supernet.

    Args:
        workdir: a run with a teacher and a supernet, as `runs.open_run` takes it.
        config: its config.
        share: `(index, count)`: which part of the space's cells, for one of several machines.
        devices: as of `cell_rating.rate_cells`.

    Returns:
        A dict from `(block, cell)` to a `ratings.RatedCell`, of the cells of the share
        that are trained.
    """
    # 1. The run, and which of its cells are to be rated here.
    run = runs.open_run(workdir, config)
    workdir, config = run.workdir, run.config
    space = presets.get_space(config.space)
    trained = cell_files.trained_names(workdir.supernet, space)
    missing = [name for name in cell_files.cell_names(space) if name not in trained]
    if not trained:
        workdir.cell_result(missing[0])  # raises, with the tool that trains it
    # All cells are shared out, so that a part is the same whichever of them are trained by now.
    places = [(b, c) for b, c, _ in space.cells()]
    part = sorted(cell_rating.spread_out(places, space, share[1])[share[0]])
    part = [place for place in part if spaces.cell_name(*place) in trained]
    if missing:
        progress.say(
            f"Not trained yet, and not rated: {', '.join(missing)}. Train them: "
            f"{workdirs.command('supernet', workdir)}"
        )

    # 2. Are they rated already?
    rated = {place: _load_rated(workdir, config, space, *place) for place in part}
    total = sum(space.num_paths(*place) for place in part)
    if sum(map(len, rated.values())) == total:
        if part:
            progress.say(f"All {total:,} paths are rated already: {workdir.ratings}")
        return rated

    # 3. Rate; the results are written on the way.
    names = [spaces.cell_name(*place) for place in part]
    todo = [spaces.cell_name(*p) for p in part if len(rated[p]) < space.num_paths(*p)]
    with cell_rating.writing(workdir.ratings, todo):
        teacher, images = run.teacher, run.images
        cells = cell_files.load(workdir.supernet, space, teacher.shapes, names)
        return cell_rating.rate_cells(
            cells,
            teacher,
            images,
            settings=phase_settings.of_section(phase_settings.RatingSettings, config.rating),
            seed=config.seed,
            folder=workdir.ratings,
            devices=devices,
        )


def _load_rated(workdir, config, space, block, cell):
    name = spaces.cell_name(block, cell)
    identity = workdir.ratings_fingerprints(config, name)
    path = workdir.ratings / f"{name}.json"
    return cell_rating.load_rated(path, space, block, cell, identity)
