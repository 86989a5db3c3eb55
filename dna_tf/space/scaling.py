"""Compound scaling: makes any architecture wider and deeper, for larger images.

In DNA's Table 5 searched students are scaled this way to the size of their teacher.

Source: Tan and Le, "EfficientNet" (2019), section 3.3, and its released code.
"""

import dataclasses
import functools
import math
import typing

from dna_tf.common import checks, formatting

# Published width coefficient, depth coefficient and image size, by network. B0 is 224.
COEFFICIENTS = {
    "efficientnet_b0": (1.0, 1.0, 224),
    "efficientnet_b1": (1.0, 1.1, 240),
    "efficientnet_b2": (1.1, 1.2, 260),
    "efficientnet_b3": (1.2, 1.4, 300),
    "efficientnet_b4": (1.4, 1.8, 380),
    "efficientnet_b5": (1.6, 2.2, 456),
    "efficientnet_b6": (1.8, 2.6, 528),
    "efficientnet_b7": (2.0, 3.1, 600),
}
DIVISOR = 8  # divides scaled widths, and image sizes that are scaled with phi
MAX_COEFFICIENT = 100
MAX_PHI = 20
NEAR_ENOUGH = 0.005  # at a larger difference from the target `scale_to` moves the width alone
TARGETS = ("params", "macs")

_ALPHA, _BETA, _GAMMA = 1.2, 1.1, 1.15  # depth, width, resolution
_STEPS = 10_000  # `scale_to` tries phi and the width coefficient in steps of 1 / _STEPS


class Compound(typing.NamedTuple):
    """The coefficients of width, depth and resolution for one phi."""

    width: float
    depth: float
    resolution: float


def compound(phi):
    """Returns the coefficients of EfficientNet's compound rule.

    Args:
        phi: how far to scale: 0 changes nothing, a negative phi makes the network smaller.

    Returns:
        A `Compound`: width `1.1**phi`, depth `1.2**phi`, resolution `1.15**phi`. MACs are
        multiplied by about `1.92**phi`, parameters, which do not depend on the resolution, by
        about `1.45**phi`.

    Source: EfficientNet, equation 3 and section 3.3.
    """
    return Compound(_BETA**phi, _ALPHA**phi, _GAMMA**phi)


def round_width(width, coefficient):
    """Scales a width and rounds it to the nearest multiple of 8, halves up.

    The result is at least 8, and the next multiple if rounding would take away more than a
    tenth.

    Args:
        width: channels.
        coefficient: factor of the width.

    Source: `round_filters` of EfficientNet's code.
    """
    # Float errors must not decide at a half: 360 * 0.7 is 251.99999999999997, not 252.
    product = round(width * coefficient, 9)
    rounded = max(DIVISOR, int(product + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * product else rounded


def round_depth(layers, coefficient):
    """Scales a number of layers and rounds up, to at least 1.

    Float errors do not count: 1.1 * 50 is 55, although `math.ceil` gives 56.

    Source: `round_repeats` of EfficientNet's code.
    """
    return max(1, math.ceil(coefficient * layers - 1e-9))


def scale(architecture, width=1.0, depth=1.0, image_size=None, name=None):
    """Scales an architecture with given coefficients.

    All widths are scaled with `round_width`, stem and head included, and the numbers of layers
    of all blocks and of the stem with `round_depth`. A coefficient of 1 changes nothing: widths
    then need not be multiples of 8.

    EfficientNet repeats one op per block, so it does not define the op of an added layer if
    the ops differ. Here, of m layers made from n, layer i (from 0) has the op of layer
    floor(i * n / m). So the order stays, each op is repeated about m / n times, and the first
    layer, which has the stride, keeps its op.

    Args:
        architecture: an `architectures.Architecture`.
        width: coefficient of the widths, above 0 and at most 100.
        depth: coefficient of the layers, in the same range.
        image_size: height and width in pixels of the new network's image; `None` keeps it.
        name: the new network's name; `None` makes one, such as `"dna_c_w2_d3.1"`, followed by
            `"_at380"` if the image size changes.

    Returns:
        An `architectures.Architecture` without cells, paths and ratings, because these belong
        to the unscaled blocks. Its `origin` has `by` (`"scaling"`), `of`, `width`, `depth`,
        `resolution`, and the architecture's own origin as `original`.

    Raises:
        ValueError: a coefficient or the image size is out of range.
    """
    for what, value in (("width", width), ("depth", depth)):
        _check_coefficient(what, value)
    scaled = _scaled(architecture, width, depth, image_size, keep_widths=width == 1)
    origin = {
        "by": "scaling",
        "of": architecture.name,
        "width": width,
        "depth": depth,
        "resolution": scaled.image_size / architecture.image_size,
        "original": architecture.origin,
    }
    name = name or f"{architecture.name}_w{width:g}_d{depth:g}{_size_words(scaled, architecture)}"
    return dataclasses.replace(scaled, name=name, origin=origin)


def scale_to(architecture, params=None, macs=None, image_size=None, name=None):
    """Scales an architecture by the compound rule to a number of parameters or MACs.

    Width and depth are scaled with `compound(phi)`, phi in steps of 0.0001. Costs jump where a
    width or a number of layers is rounded: the phi nearest to the target is taken. If that is
    more than 0.5 % off, the depth of a phi on either side of the jump is kept and only the
    width coefficient is changed, in steps of 0.0001, to come nearer. Widths jump together, so
    some targets are missed by a few per cent: `origin` says by how much.

    Args:
        architecture: an `architectures.Architecture`.
        params: trainable parameters to reach.
        macs: MACs to reach. Exactly one of the two must be given.
        image_size: height and width in pixels of the new network's image. `None` keeps it
            (as in DNA's Table 5, evaluated at 224); `"compound"` scales it too, to the
            nearest multiple of 8, halves up.
        name: the new network's name; `None` makes one, such as `"dna_c_params_64.9M"`.

    Returns:
        An `architectures.Architecture` as `scale` returns it. Its `origin` also has
        `target`, such as `{"params": 64900000}`, `reached`, `difference` (a fraction of the
        target, above 0 if the network is larger), `phi`, and `refined`: whether the width
        differs from `compound(phi)`.

    Raises:
        ValueError: not exactly one target was given, or it cannot be reached: it is below
            one layer per block of width 8, or above phi 20. The message has the range.
    """
    cost_name, target = _check_target(params, macs)

    def coefficients(phi, width=None):
        rule = compound(phi)
        size = image_size
        if image_size == "compound":
            size = _scaled_size(architecture.image_size, rule.resolution)
        return (rule.width if width is None else width), rule.depth, size

    def count(*choice):  # rises with phi and with width
        return _scaled(architecture, *coefficients(*choice)).costs()[cost_name]

    def reach(choice):
        return scale(architecture, *coefficients(*choice)).costs()[cost_name]

    def order(choice):  # the nearest first, among equals the least changed
        return abs(reach(choice) - target), len(choice), [abs(part) for part in choice]

    low, high = _lowest_phi(architecture), MAX_PHI
    phis = _around(count, target, low, high)
    # At phi 0 widths need not be multiples of 8, so it is not one of the other steps.
    best = min([(phi,) for phi in {*phis, 0.0}], key=order)
    smallest, largest = min(count(low), reach((0.0,))), count(high)
    if not smallest <= target <= largest:
        pixels = f" and images of {DIVISOR} pixels" if image_size == "compound" else ""
        raise ValueError(
            f"{architecture.name!r} cannot be scaled to {target:,} {cost_name}: the smallest "
            f"reachable, one layer per block of width {DIVISOR}{pixels}, has {smallest:,} "
            f"({formatting.format_count(smallest)}), the largest, at phi {MAX_PHI}, {largest:,} "
            f"({formatting.format_count(largest)}). Give a target between them."
        )
    if abs(reach(best) - target) > NEAR_ENOUGH * target:
        refined = [
            (phi, width)
            for phi in phis
            for width in _around(functools.partial(count, phi), target, 1 / _STEPS, MAX_COEFFICIENT)
        ]
        best = min([best, *refined], key=order)
    scaled = scale(architecture, *coefficients(*best))
    reached = scaled.costs()[cost_name]
    result = {
        "target": {cost_name: target},
        "reached": reached,
        "difference": reached / target - 1,
        "phi": best[0],
        "refined": len(best) == 2,
    }
    words = f"{cost_name}_{_exact_count(target)}{_size_words(scaled, architecture)}"
    return dataclasses.replace(
        scaled, name=name or f"{architecture.name}_{words}", origin={**scaled.origin, **result}
    )


def _scaled(architecture, width, depth, image_size, keep_widths=False):
    """The scaled network, still with its old name and origin."""

    def wide(channels):
        return channels if keep_widths else round_width(channels, width)

    old = architecture.frame
    frame = dataclasses.replace(
        old,
        stem_width=wide(old.stem_width),
        stem_output_width=wide(old.stem_output_width),
        head_width=wide(old.head_width),
        stem_layers=round_depth(old.stem_layers, depth) if old.stem_layers else 0,
    )
    blocks = []
    for block in architecture.blocks:
        old_layers, layers = len(block.ops), round_depth(len(block.ops), depth)
        ops = tuple(block.ops[i * old_layers // layers] for i in range(layers))
        blocks.append(
            dataclasses.replace(
                block, width=wide(block.width), ops=ops, cell=None, path=None, rating=None
            )
        )
    scaled = dataclasses.replace(architecture, blocks=tuple(blocks), frame=frame)
    return scaled.adapted(image_size=image_size)


def _scaled_size(image_size, coefficient):
    """The image size for `"compound"`; a coefficient of 1 keeps it."""
    if coefficient == 1:
        return image_size
    return max(DIVISOR, int(image_size * coefficient / DIVISOR + 0.5) * DIVISOR)


def _lowest_phi(architecture):
    """A whole phi at which everything is as small as possible."""
    frame = architecture.frame
    widest = max(
        frame.stem_width,
        frame.stem_output_width,
        frame.head_width,
        *(block.width for block in architecture.blocks),
    )
    deepest = max(frame.stem_layers, *(len(block.ops) for block in architecture.blocks))
    ends = (
        math.log(DIVISOR / widest, _BETA),
        math.log(1 / deepest, _ALPHA),
        math.log(DIVISOR / architecture.image_size, _GAMMA),
    )
    return math.floor(min(0, *ends)) - 1


def _around(count, target, low, high):
    """Finds where a count passes the target: the last step at or below it and the next.

    Args:
        count: a monotonic function from a number to an int.
        target: the count to reach.
        low: least number to try.
        high: largest number to try.

    Returns:
        Two numbers, multiples of `1 / _STEPS`; `low` twice if all counts are above the target,
        `high` twice if all are at or below it.
    """
    low, high = round(low * _STEPS), round(high * _STEPS)
    if count(low / _STEPS) > target:
        return low / _STEPS, low / _STEPS
    if count(high / _STEPS) <= target:
        return high / _STEPS, high / _STEPS
    while high - low > 1:
        middle = (low + high) // 2
        if count(middle / _STEPS) <= target:
            low = middle
        else:
            high = middle
    return low / _STEPS, high / _STEPS


def _check_coefficient(what, value):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= MAX_COEFFICIENT:  # NaN fails this comparison too
        raise ValueError(
            f"The {what} coefficient must be a number above 0 and at most {MAX_COEFFICIENT}. "
            f"Received: {value!r}"
        )


def _check_target(params, macs):
    targets = {k: v for k, v in zip(TARGETS, (params, macs), strict=True) if v is not None}
    if len(targets) != 1:
        raise ValueError(
            f"Give exactly one target, params or macs. Received: params={params!r}, macs={macs!r}"
        )
    ((cost_name, target),) = targets.items()
    checks.check_whole(cost_name, target, 1)
    return cost_name, target


def _exact_count(count):
    text = formatting.format_count(count)
    return text if formatting.parse_count(text) == count else str(count)


def _size_words(scaled, architecture):
    return "" if scaled.image_size == architecture.image_size else f"_at{scaled.image_size}"
