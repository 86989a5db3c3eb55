"""Fields that change no result: they exist, and fingerprints of results leave them out."""

from dna_tf.config import run_config, without_effect
from dna_tf.supernet import phase_settings


def changed_config():
    """The default config with other values in all these fields."""
    config = run_config.default_config()
    for section, names in without_effect.FIELDS.items():
        for name in names:
            usual = config[section][name]
            other = {bool: not usual, int: 9, float: 61.0, str: "/tmp/cache"}[type(usual)]
            config[section][name] = other
    return config


def test_fingerprints_of_results_leave_out_what_changes_none():
    usual, changed = run_config.default_config(), changed_config()
    run_config.check_config(changed)
    differing = run_config.differences(run_config.to_plain(usual), run_config.to_plain(changed))
    assert len(differing) == sum(map(len, without_effect.FIELDS.values()))
    assert all(map(without_effect.has_none, differing))
    assert not without_effect.has_none("supernet.epochs")
    assert not without_effect.has_none("seed")
    for sections in (["seed", "rating"], ["data", "supernet", "retrain", "quantize", "prune"]):
        expected = run_config.config_fingerprint(usual, sections)  # as before there was this list
        assert run_config.result_fingerprint(usual, sections) == expected
        assert run_config.result_fingerprint(changed, sections) == expected
        assert run_config.config_fingerprint(changed, sections) != expected
    usual.rating.batches += 1
    assert run_config.result_fingerprint(usual, ["rating"]) != run_config.result_fingerprint(
        changed, ["rating"]
    )
    # Settings by value have defaults of their own.
    assert phase_settings.RatingSettings.checkpoint_seconds == usual.rating.checkpoint_seconds
