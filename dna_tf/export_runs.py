"""The run and the config of an export that leaves a workdir as it is."""

from ml_collections import config_flags

from dna_tf import cli
from dna_tf import config as configs
from dna_tf import workdir as workdirs


def open_beside(path):
    """Opens a workdir for an export into another folder.

    Args:
        path: the workdir.

    Returns:
        `(Workdir, config)`: the workdir's config with what `--config.export.FIELD=` changes;
        nothing is written.

    Raises:
        ValueError: other fields are changed, or a value is wrong.
        FileNotFoundError: the workdir holds no run.
    """
    if cli.FLAGS["config"].present:
        raise ValueError(
            "With --output and a workdir the config is the workdir's own. Leave --config out, and "
            "change fields by --config.export.FIELD=VALUE."
        )
    workdir, config = workdirs.open_workdir(path)
    changed = config_flags.get_override_values(cli.FLAGS["config"])
    others = sorted(name for name in changed if not name.startswith("export."))
    if others:
        raise ValueError(
            "With --output only fields of config.export may differ from the workdir's config: "
            f"the student and its images are those of the run. Received: {others}"
        )
    config.update_from_flattened_dict(changed)
    configs.check_config(config)
    return workdir, config


def open_for_model(path):
    """Opens the config whose images a model of its own is exported with.

    Args:
        path: a workdir, or `""` to take `--config`.

    Returns:
        `(Workdir or None, config)`.

    Raises:
        ValueError, FileNotFoundError: as `open_beside`.
    """
    if path:
        return open_beside(path)
    config = cli.FLAGS.config
    configs.check_config(config)
    return None, configs.with_image_size(config)
