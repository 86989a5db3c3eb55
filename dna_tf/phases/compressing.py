"""Compresses a trained model in a workdir: a config for any model, and the student in its files."""

from dna_tf import workdirs
from dna_tf.common import files, locks, progress
from dna_tf.config import run_config
from dna_tf.data import list_source, loading
from dna_tf.inheritance import choosing, compressing, duration, replacements, teacher_space
from dna_tf.models import keras_files, logits
from dna_tf.phases import (
    answered_images,
    exporting,
    latency_of_parts,
    model_files,
    rating,
    runs,
    supernet_training,
    teacher_training,
)
from dna_tf.search import assembly_problem, finding
from dna_tf.space import assemblies, assembly_costs, op_costs, presets, spaces
from dna_tf.supernet import cell_files, cell_rating, phase_settings
from dna_tf.teachers import building, cutting, parts

_PASSES = 150_000  # images that cells see in all, within 3 to 15 epochs
_EPOCHS = (3, 15)
_BATCH = 64
_LEAST_STEPS = 8  # of an epoch


def new_config(
    config,
    model,
    source,
    image_size=0,
    preprocessing="none",
    overrides=None,
    modules=(),
    answers="",
    cut="stages",
):
    """Fills in a config for the compression of a model: data, cut, space and lengths.

    Args:
        config: the config to start from.
        model: the `.keras` file.
        source: of the labelled images, such as `"folder:images"`; or a folder of images without
            labels, `"images:photos"`: then the model's answers stand for labels.
        image_size: height and width in pixels for a model that takes any size.
        preprocessing: what the model expects instead of pixels in 0..255.
        overrides: a dict from fields, such as `"supernet.epochs"`, to the values that they keep.
        modules: names of modules that the user asks to import before the model is loaded.
        answers: the file for the model's answers to images without labels.
        cut: `"stages"`, or `"units"`: a block for each unit of the model, with cells of one layer.

    Returns:
        A new config, checked.

    Raises:
        FileNotFoundError: there is no such model, or no such data.
        ValueError: the model cannot be loaded or cut, or does not fit the data.
    """
    overrides = overrides or {}
    named_cuts = tuple(overrides.get("teacher.cuts", ()))
    network = building.build_teacher(
        str(model), (), 0, preprocessing=preprocessing, modules=modules, cuts=named_cuts
    )
    logits.with_logits(network)  # refuses answers that are no distribution
    size, channels = model_files.image_of(network, image_size, model)
    shape = (size, size, channels)
    cuts = named_cuts or building.default_cuts(str(model), network, shape, cut=cut)
    plain = run_config.to_plain(config)
    plain["teacher"] |= {
        "model": str(model), "preprocessing": preprocessing, "cuts": list(cuts), "weights": "",
    }  # fmt: skip
    plain["data"] |= {"source": source, "image_size": size, "channels": channels}
    of_data = {
        name.removeprefix("data."): value
        for name, value in overrides.items()
        if name.startswith("data.")
    }
    if answered_images.folder_of(source):
        data = run_config.from_plain(plain).data
        data.update_from_flattened_dict(of_data)
        # Few answers may be of some class, so that splits cannot have images of each.
        plain["data"] |= {
            "source": answered_images.label(source, network, data, answers),
            "num_classes": int(network.output.shape[-1]),
            "rating_fraction": 0.1,
        }
        plain["fine_tune"] |= {"labels": 0.0, "answers": 1.0}
    plain["space"] = teacher_space.propose(
        cutting.cut_model(network, cuts, shape), 1 if cut == "units" else 3
    ).to_dict()
    config = run_config.from_plain(plain)
    config.data.update_from_flattened_dict(of_data)
    count = loading.load(config.data, config.seed).counts["train"]
    least, most = _EPOCHS
    plain["supernet"]["epochs"] = max(least, min(most, -(-_PASSES // count)))
    for section in ("supernet", "fine_tune"):
        plain[section]["batch_size"] = max(2, min(_BATCH, count // _LEAST_STEPS))
    config = run_config.from_plain(plain)
    config.update_from_flattened_dict(overrides)
    run_config.check_config(config)
    return config


def check(workdir, config, asked_limits, tables=(), students=1):
    """Checks limits before any training, and prints how long what is missing will take.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
        asked_limits: limits as `assembly_problem.limits_of` takes them; may be empty.
        tables: the `op_costs.OpCosts` of limited latencies.
        students: how many will be fine-tuned, about.

    Raises:
        ValueError: no network is within the limits, or the teacher is.
    """
    teacher = latency_of_parts.open_teacher(workdir, config)
    facts, space = parts.facts(teacher), presets.get_space(config.space)
    extra, further = assembly_costs.of_tables(tables, space, facts)
    limits = assembly_problem.limits_of(asked_limits, facts, further)
    if limits:
        assembly_problem.check_reachable(space, facts, limits, extra)
    _announce(workdir, config, teacher, limits, students)


def _announce(workdir, config, teacher, limits, students):
    """Prints how long the phases that are missing will take."""
    facts, space = parts.facts(teacher), presets.get_space(config.space)
    counts = loading.load(config.data, config.seed).counts
    section = config.rating
    rated = min(counts["rating"], section.batches * section.batch_size)
    work = duration.Work(
        images=counts["train"],
        rating_images=section.calibration_images + rated,
        cell_epochs=config.supernet.epochs,
        student_epochs=config.fine_tune.epochs,
        measured_paths=config.compress.measured_paths,
        realised=config.compress.realised,
        students=students,
        online=config.supernet.features == "online",
    )
    whole = facts.costs()["macs"] or 0
    macs = min(limits.get("max_macs", whole / 2), whole)
    image_seconds = duration.time_of_image(teacher.model, facts.shapes[0])
    times = duration.seconds(space, facts, work, macs, image_seconds)
    cells = [spaces.cell_name(b, c) for b, c, _ in space.cells()]
    if all(workdir.cell(cell).exists() for cell in cells):
        del times["cells"]
        if all((workdir.replacements / f"{cell}.json").exists() for cell in cells):
            del times["ratings"]
    progress.say(
        f"This will take {duration.text(times)}, give or take a factor of two: the model's pass "
        f"does {1 / image_seconds:,.0f} images/s here."
    )


def train_and_rate(workdir, config):
    """Runs the phases that all budgets share: teacher, cells, local ratings, ratings by replacing.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
    """
    steps = (
        ("teacher", "measure it and cut it", teacher_training.train_teacher),
        ("cells", "learn to imitate the blocks", supernet_training.train_supernet),
        ("rating", "how well does each path imitate its block", rating.rate),
        ("replacing", "what does the model lose with a path in a block's place", replace),
    )
    for number, (name, what, step) in enumerate(steps, 1):
        progress.say(f"\n[{number}/6] {name}: {what}")
        step(workdir, config)


def replace(workdir, config):
    """Rates all paths by replacing; files are in `WORKDIR/replacements`.

    Returns:
        A dict from `(block, cell)` to a `replaced_cells.ReplacedCell`.
    """
    rated = rating.rate(workdir, config)
    run = runs.open_run(workdir, config)
    space = presets.get_space(config.space)
    cells = cell_files.load(workdir.supernet, space, run.teacher.shapes)
    return replacements.rate_replacements(
        cells, run.teacher, run.images, rated, replacement_settings(config), workdir.replacements
    )


def replacement_settings(config):
    """The `replacements.Settings` of a config."""
    return replacements.Settings(
        rating_settings(config), config.compress.measured_paths, config.search.metric, config.seed
    )


def rating_settings(config):
    """The `phase_settings.RatingSettings` of a config."""
    return phase_settings.of_section(phase_settings.RatingSettings, config.rating)


def compress(workdir, config, asked_limits, tables=()):
    """Searches, realises and fine-tunes a student within limits, and exports it.

    Args:
        workdir: a `workdirs.Workdir` in which `train_and_rate` was run.
        config: its config.
        asked_limits: limits as `assembly_problem.limits_of` takes them.
        tables: the `op_costs.OpCosts` of limited latencies.

    Returns:
        The name of the student, and the content of `compressed/NAME/result.json`.

    Raises:
        ValueError: no network is within the limits, or the teacher is.
    """
    name, result = student(workdir, config, asked_limits, tables)
    export_student(workdir, config, name)
    return name, result


def student(workdir, config, asked_limits, tables=()):
    """As `compress`, without the export."""
    name = compressing.name_of(asked_limits)
    folder = workdir.compressed(name)
    kind = workdirs.COMPRESSED_KIND
    identity = {"asked": asked_limits, "fine_tune": run_config.to_plain(config)["fine_tune"]}
    if tables:
        identity["cost_files"] = {table.cost: op_costs.identity(table) for table in tables}
    result = runs.existing_result(folder / "result.json", kind, **identity)
    if result is None:
        with locks.hold(folder, f"The student in {folder}"):
            result = _compress(
                workdir, config, asked_limits, folder, {"kind": kind, **identity}, tables
            )
    else:
        progress.say(f"The student {name} is there already: {folder}")
    return name, result


def export_student(workdir, config, name):
    """Exports a student to `compressed/NAME/exports`."""
    progress.say("\n[6/6] export: TFLite files, checked against Keras")
    folder = workdir.compressed(name)
    exporting.export_file(folder / "model.keras", config, folder / "exports", workdir, name)


def question(run, asked_limits, tables=()):
    """What a search in a run is about.

    Args:
        run: a `runs.Run` in whose workdir `train_and_rate` was run.
        asked_limits: limits as `assembly_problem.limits_of` takes them.
        tables: the `op_costs.OpCosts` of limited latencies.

    Returns:
        The `assembly_problem.AssemblyProblem`, and the limits as `cost_limits.Limits`.
    """
    space, facts = presets.get_space(run.config.space), parts.facts(run.teacher)
    extra, further = assembly_costs.of_tables(tables, space, facts)
    limits = assembly_problem.limits_of(asked_limits, facts, further)
    by_kl = {key: cell.kl for key, cell in replace(run.workdir, run.config).items()}
    return assembly_problem.build_problem(space, facts, by_kl, extra), limits


def settled(run, asked_limits, tables=()):
    """Searches within limits, and puts the best networks together.

    Args:
        run, asked_limits, tables: as for `question`.

    Returns:
        The `assembly_problem.AssemblyProblem`, the limits, and a list of `choosing.Realised`, the
        nearest to the teacher first.
    """
    config, teacher, images = run.config, run.teacher, run.images
    problem, limits = question(run, asked_limits, tables)
    progress.say(f"\n[5/6] student: the best network with {limits.text()}")
    name = compressing.name_of(asked_limits)
    best = finding.find_best(problem, count=config.compress.realised, limits=limits, name=name)
    cells = cell_files.load(run.workdir.supernet, problem.cell_space, teacher.shapes)
    calibration = cell_rating.calibration_images(images, rating_settings(config), config.seed)
    return problem, limits, choosing.settle(best, teacher, cells, calibration, images)


def _compress(workdir, config, asked_limits, folder, head, tables):
    run = runs.open_run(workdir, config)
    teacher, images = run.teacher, run.images
    _, limits, realised = settled(run, asked_limits, tables)
    chosen = realised[0]
    progress.say(f"Assembled: {chosen.assembly.describe()}: {chosen.answers.text()}")
    table = compressing.tune(
        chosen,
        teacher,
        images,
        config.fine_tune,
        config.seed,
        folder,
        run.workdir.answers,
        tables,
    )
    assemblies.save(chosen.assembly, folder / "assembly.json")
    keras_files.save_model(chosen.model, folder / "model.keras")
    result = {
        **head,
        "file": "model.keras",
        "assembly": chosen.assembly.describe(),
        "limits": dict(limits),
        "realised": [
            {
                "assembly": each.assembly.describe(),
                "costs": each.assembly.costs(),
                "rating": each.assembly.rating,
                "kl": each.answers.kl,
                "correct": each.answers.correct,
                "images": each.answers.images,
            }
            for each in realised
        ],
        "table": [row.to_dict() for row in table],
        "data_fingerprint": images.fingerprint,
    }
    files.write_json(folder / "result.json", result)
    return result


def print_table(result, config):
    """Prints the table of a result.

    Args:
        result: the content of `compressed/NAME/result.json`.
        config: of the run.
    """
    rows = [compressing.Row.from_dict(row) for row in result["table"]]
    for line in compressing.table_lines(rows):
        progress.say(line)
    if list_source.is_of_answers(config.data.source):
        progress.say(
            "The images have no labels: accuracy is the share of answers that are the model's own."
        )
