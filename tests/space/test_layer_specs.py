"""MBConvs as data: widths of squeeze-and-excitation, residuals, chains, output sizes."""

import pytest

from dna_tf.space import layer_specs
from dna_tf.space.spaces import Frame, Op


@pytest.mark.parametrize(
    ("in_width", "se_ratio", "expected"), [(24, 0.25, 6), (30, 0.25, 7), (2, 0.25, 1), (8, 0, 0)]
)
def test_se_width_is_of_the_input_width_and_rounds_down(in_width, se_ratio, expected):
    spec = layer_specs.MBConvSpec(3, 6, in_width, 8, 1, "swish", se_ratio)
    assert spec.se_width == expected


def test_residual_only_where_shapes_are_equal():
    def spec(in_width, stride):
        return layer_specs.MBConvSpec(3, 6, in_width, 8, stride)

    assert spec(8, 1).has_residual
    assert not spec(8, 2).has_residual
    assert not spec(4, 1).has_residual


def test_layer_specs_put_stride_and_change_of_width_first():
    specs = layer_specs.layer_specs(Frame(), [Op(3, 6), Op(5, 3), Op(7, 1)], 16, [24, 24, 48], 2)
    assert [(s.kernel, s.expand, s.in_width, s.out_width, s.stride) for s in specs] == [
        (3, 6, 16, 24, 2),
        (5, 3, 24, 24, 1),
        (7, 1, 24, 48, 1),
    ]
    with pytest.raises(ValueError):
        layer_specs.layer_specs(Frame(), [Op(3, 6)], 16, [24, 24], 2)


def test_output_size_is_that_of_same_padding():
    for size in range(1, 40):
        for stride in (1, 2):
            windows = len(range(0, size, stride))
            assert layer_specs.output_size(size, 7, stride)[0] == windows
    assert layer_specs.output_size(7, 10, 2) == (4, 5)
