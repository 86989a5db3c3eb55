"""Finding an architecture by what a user calls it, and writing one where no other one is.

What a user calls it: a file, one of a run, a published one.
"""

from dna_tf import architecture, checks, files, zoo


def find(name, workdir=None):
    """Finds an architecture.

    Args:
        name: the path of an architecture file (ending in `.json`), the name of one in the
            workdir, or of a published network.
        workdir: a `workdir.Workdir`, or `None`.

    Returns:
        An `architecture.Architecture`.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: the file cannot be used, or nothing has that name (near names and
            what there is are given).
    """
    if name.endswith(".json"):
        return architecture.load(name)
    there = []
    if workdir is not None and workdir.architectures.exists():
        there = sorted(p.stem for p in workdir.architectures.glob("*.json") if p.stem != "front")
    if name in there:
        return architecture.load(workdir.architecture(name))
    if name in zoo.NAMES:
        return zoo.get_architecture(name)
    if workdir is None:
        return zoo.get_architecture(name)  # raises, with near names
    raise ValueError(
        f"There is no architecture {name!r} in {workdir.architectures}."
        f"{checks.near_names(name, [*there, *zoo.NAMES])} There are: {there}; search finds more: "
        f"python -m tools.search --workdir={workdir}"
    )


def is_there(made, path, hint):
    """Whether a file holds an architecture already.

    Args:
        made: an `architecture.Architecture`.
        path: the file.
        hint: what to do about a file that holds something else, for the error.

    Returns:
        `True` if an equal one is there, `False` if there is no such file.

    Raises:
        ValueError: the file holds something else; it is not to be overwritten.
    """
    path = files.as_path(path)
    if not path.exists():
        return False
    try:
        same, reason = architecture.load(path) == made, ""
    except ValueError as error:  # no architecture
        same, reason = False, f" {error}"
    if not same:
        raise ValueError(
            f"The file {path} holds something else, and is not overwritten.{reason} {hint}"
        )
    return True
