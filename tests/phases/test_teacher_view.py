"""The texts about a teacher's cut: tables against sums by hand, config files that load."""

import importlib.util
import types

import pytest

from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.phases import teacher_config, teacher_view
from dna_tf.space import presets, spaces
from dna_tf.teachers import cut_points

SHAPE = (32, 32, 3)


def _point(layer, size, channels, params, macs, kind="Add"):
    return cut_points.CutPoint(layer, kind, (size, size, channels), params, macs, True, 0, 1)


POINTS = [
    _point("pad", 35, 3, 0, 0, "ZeroPadding2D"),
    _point("stem", 16, 8, 1000, 2_000_000, "Conv2D"),
    _point("one_add", 8, 16, 20_000, 3_500_000),
    _point("two_norm", 4, 24, 300, 0, "BatchNormalization"),
    _point("two", 4, 24, 4, 500),
]
ENDS = [POINTS[2], POINTS[4]]


def test_the_table_adds_up_what_lies_between_its_lines():
    lines = teacher_view.layer_lines(
        POINTS, ENDS, ("one_add", "two_norm"), SHAPE, (30_000, 9_000_000)
    )
    assert lines == [
        "layer           kind                map     stride  params    MACs",
        "one_add         Add                 8x8x16       4  21,000    5.5M  <- block 1",
        "two_norm        BatchNormalization  4x4x24       8     300       0  <- block 2",
        "two             Add                 4x4x24       8       4     500",
        "(what follows)                                       8,696  3.499M",
        "It can be cut at 2 more layers; --all lists them.",
    ]


def test_the_table_of_all_layers_and_of_unknown_counts():
    points = [*POINTS[:3], _point("two_norm", 4, 24, 300, None), POINTS[4]]
    lines = teacher_view.layer_lines(points, ENDS, ("two",), SHAPE, (21_304, None), True)
    assert [line.split() for line in lines[1:]] == [
        ["pad", "ZeroPadding2D", "35x35x3", "0.914", "0", "0"],
        ["stem", "Conv2D", "16x16x8", "2", "1,000", "2M"],
        ["one_add", "Add", "8x8x16", "4", "20,000", "3.5M"],
        ["two_norm", "Add", "4x4x24", "8", "300", "unknown"],
        ["two", "Add", "4x4x24", "8", "4", "500", "<-", "block", "1"],
        ["(what", "follows)", "0", "unknown"],
    ]
    lines = teacher_view.block_lines(points, ("one_add", "two"))
    assert [line.split() for line in lines[1:]] == [
        ["1", "one_add", "8x8x16", "21,000", "5.5M"],
        ["2", "two", "4x4x24", "304", "unknown"],
    ]
    line = teacher_view.model_line("name", 21_304, None, SHAPE)
    assert line == "name: 21,304 parameters, unknown MACs, images of 32x32x3"


def test_parts_merge_points_and_leave_out_the_rest():
    (part,) = teacher_view.parts(POINTS, ["two_norm"])
    assert (part.layer, part.params, part.macs, part.spatial) == ("two_norm", 21_300, 5_500_000, 4)
    assert teacher_view.parts(POINTS, [point.layer for point in POINTS]) == POINTS


def _section(**changes):
    values = {"model": "resnet50", "weights": "", "preprocessing": "none", "modules": ()}
    return types.SimpleNamespace(**{**values, **changes})


def _load(path):
    spec = importlib.util.spec_from_file_location("written_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    run_config.check_config(config)
    return module.__doc__, config


def _written(path, section, cuts, shapes, space, shape=SHAPE, story="Story."):
    config_lines = teacher_config.lines(section, cuts, shape, shapes, space)
    teacher_config.write(path, config_lines, story, "python -m tools.teacher")
    return _load(path)


def test_the_config_file_has_what_was_asked_for(tmp_path):
    digits = presets.PRESETS["digits"]
    shapes = [(8, 8, 16), (4, 4, 24), (4, 4, 32)]
    assert teacher_config.fitting_space(SHAPE, shapes) == digits
    path = tmp_path / "new" / "one.py"
    story, config = _written(path, _section(weights="imagenet"), ("a", "b", "c"), shapes, digits)
    assert story.startswith("Story.\n\nWritten by: python -m tools.teacher\n")
    assert f"--config={path} --workdir=" in story
    expected = run_config.default_config()
    expected.teacher.model, expected.teacher.weights = "resnet50", "imagenet"
    expected.teacher.cuts = ("a", "b", "c")
    assert run_config.to_plain(config) == run_config.to_plain(expected)


def test_names_and_spaces_of_ones_own_stand_in_the_file(tmp_path):
    plain = presets.PRESETS["digits"].to_dict()
    space = spaces.SearchSpace.from_dict({**plain, "name": "own", "blocks": plain["blocks"][:2]})
    section = _section(
        model='a"""b\'s\\n.keras', preprocessing="zero_one", modules=("my_layers", "more")
    )
    shape, shapes = (48, 48, 1), [(12, 12, 16), (6, 6, 24)]
    assert teacher_config.fitting_space(shape, shapes, [space]) == space
    story, config = _written(
        tmp_path / "own.py", section, ("a", "b"), shapes, space, shape, 'Odd """ \\name.'
    )
    assert story.startswith("Odd ''' \\name.")
    assert config.teacher.model == section.model
    assert (config.teacher.preprocessing, config.teacher.modules) == ("zero_one", section.modules)
    assert (config.data.image_size, config.data.channels) == (48, 1)
    assert presets.get_space(config.space) == space


def test_a_cut_that_no_space_fits_says_what_space_it_needs():
    shapes = [(8, 8, 256), (8, 8, 256), (4, 4, 512), (2, 2, 1024)]
    assert teacher_config.fitting_space(SHAPE, shapes) is None
    text = "\n".join(teacher_config.lines(_section(), "abcd", SHAPE, shapes))
    assert "# No preset has 4 blocks of these sizes." in text
    assert "# a stem_stride of 2 and a stride of 2, the others have strides [1, 2, 2]." in text
    text = teacher_config.lines(_section(), "a", SHAPE, [(16, 16, 8)])[-1]
    assert text == "# a stem_stride of 2 and a stride of 1."
    text = "\n".join(teacher_config.lines(_section(), "ab", SHAPE, [(8, 8, 8), (3, 3, 8)]))
    assert "# No space can follow this cut: block 2 turns 8x8\n# into 3x3." in text
    for line in text.splitlines()[-3:]:
        assert line.startswith("# ")


def test_nothing_is_overwritten_and_wrong_names_are_refused(tmp_path):
    path = tmp_path / "there.py"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"there\.py exists and is not overwritten\. Give"):
        teacher_config.write(path, [], "Story.", "command")
    assert path.read_text() == "mine"
    with pytest.raises(ValueError, match=r"ends in \.py\. Received: --output=.*config\.txt"):
        teacher_config.check_new(tmp_path / "config.txt")
    with pytest.raises(ValueError, match="one number, for square images.*32x48"):
        teacher_config.lines(_section(), "a", (32, 48, 3), [(8, 12, 4)])
    assert [entry.name for entry in files.as_path(tmp_path).iterdir()] == ["there.py"]
