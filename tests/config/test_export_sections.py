"""The config sections of exports and compression: wrong values are refused before any work."""

import pytest

from dna_tf.config import export_sections, run_config


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("precisions", (), "must have at least one of"),
        ("precisions", ("int4",), r"precisions must be one of .*'int16'.* Received: 'int4'"),
        ("int8_io", "int4", "int8_io must be one of .* Received: 'int4'"),
        ("image_size", 4, "image_size must be at least 8, or 0"),
        ("image_size", -1, "image_size must be at least 0"),
        ("preprocessing", "none", "preprocessing must be one of .*'outside'"),
        ("also", ("savedmodle",), "also must be one of .* Did you mean 'savedmodel'"),
        ("float_layers", (3,), "float_layers must be names of Keras layers"),
        ("calibration_images", 0, "calibration_images must be at least 1"),
        ("test_images", 0, "test_images must be at least 1"),
        ("least_agreement", 1.5, r"least_agreement must be in \[0.0, 1.0\]"),
        ("least_agreement", float("nan"), "least_agreement must be in"),
    ],
)
def test_wrong_values_of_the_section_are_refused(field, value, message):
    config = run_config.default_config()
    with config.unlocked():
        config.export[field] = value
    with pytest.raises(ValueError, match=message):
        run_config.check_config(config)


def test_float_layers_need_an_int8_file():
    section = export_sections.default_export()
    section.precisions, section.float_layers = ("float32",), ("stem_conv",)
    with pytest.raises(ValueError, match="'int8' is not in config.export.precisions"):
        export_sections.check(section)


@pytest.mark.parametrize(
    ("section", "field", "value", "message"),
    [
        ("quantize", "calibration_images", 9, r"quantize\.calibration_images must be at least 10"),
        ("quantize", "epochs", 0, r"config\.quantize\.epochs must be at least 1"),
        ("prune", "sparsity", 1.0, r"config\.prune\.sparsity must be in \[0\.01, 0\.99\]"),
        ("prune", "learning_rate", 0.0, r"config\.prune\.learning_rate must be in"),
    ],
)
def test_settings_out_of_range_are_refused(section, field, value, message):
    config = run_config.default_config()
    assert {name for name, *_ in export_sections.COMPRESSION_RANGES} == {"quantize", "prune"}
    config[section][field] = value
    with pytest.raises(ValueError, match=message):
        run_config.check_config(config)
