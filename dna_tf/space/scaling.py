"""Compound scaling: any architecture made wider, deeper and larger, by EfficientNet's rule.

DNA's Table 5 scales a searched student this way to the size of its teacher.

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
DIVISOR = 8  # of scaled widths, and of image sizes that are scaled with phi
MAX_COEFFICIENT = 100
MAX_PHI = 20
NEAR_ENOUGH = 0.005  # a larger difference from the target makes `scale_to` move the width alone
TARGETS = ("params", "macs")

_ALPHA, _BETA, _GAMMA = 1.2, 1.1, 1.15  # depth, width, resolution
_STEPS = 10_000  # `scale_to` tries phi and the width coefficient in steps of 1 / _STEPS


class Compound(typing.NamedTuple):
    """The coefficients of one phi."""

    width: float
    depth: float
    resolution: float


def compound(phi):
    """The coefficients of EfficientNet's compound rule.

    Args:
        phi: how far to scale; 0 is the network itself, below 0 it becomes smaller.

    Returns:
        A `Compound`: width `1.1**phi`, depth `1.2**phi`, resolution `1.15**phi`. MACs
        become about `1.92**phi` times as many; parameters, which do not see the
        resolution, `1.45**phi`.

    Source: EfficientNet, equation 3 and section 3.3.
    """
    return Compound(_BETA**phi, _ALPHA**phi, _GAMMA**phi)


def round_width(width, coefficient):
    """Scales a width and rounds it to the nearest multiple of 8, halves up.

    The result is at least 8, and goes one multiple up where rounding took more
    than a tenth away. Source: `round_filters` of EfficientNet's code.

    Args:
        width: channels.
        coefficient: what the width is multiplied by.
    """
    # Float noise must not decide at a half: 360 times 0.7 is 252, and 251.99999999999997 here.
    product = round(width * coefficient, 9)
    rounded = max(DIVISOR, int(product + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * product else rounded


def round_depth(layers, coefficient):
    """Scales a number of layers and rounds up, to at least 1.

    A product that float noise alone lifts above a whole number is that number: 1.1
    times 50 is 55 here, where a bare `ceil` gives 56.
    Source: `round_repeats` of EfficientNet's code.
    """
    return max(1, math.ceil(coefficient * layers - 1e-9))


def scale(architecture, width=1.0, depth=1.0, image_size=None, name=None):
    """Scales an architecture with given coefficients.

    All widths are scaled (`round_width`), those of stem and head too, and the layers of
    all blocks and of the stem (`round_depth`). A coefficient of 1 changes nothing: the
    widths then need not be multiples of 8.

    EfficientNet repeats one op per block, so it does not say which op an added layer gets
    where they differ. Our choice: of m layers made from n, layer i (from 0) has the op of
    layer floor(i * n / m). The order stays, each op is repeated about m / n times, and the
    first layer, which has the stride, keeps its op.

    Args:
        architecture: an `architectures.Architecture`.
        width: coefficient of the widths, above 0 and at most 100.
        depth: coefficient of the layers, in the same range.
        image_size: height and width in pixels of the new network's image; `None` keeps it.
        name: the new network's name; `None` makes one, such as `"dna_c_w2_d3.1"`, with
            `"_at380"` behind it when the image size is another one.

    Returns:
        An `architectures.Architecture` without cells, paths and ratings, which belong to
        the unscaled blocks. Its `origin` has `by` (`"scaling"`), `of`, `width`, `depth`,
        `resolution`, and the architecture's own origin as `original`.

    Raises:
        ValueError: a coefficient or the image size is out of range.
    """
    for what, value in (("width", width), ("depth", depth)):
        _check_coefficient(what, value)
    made = _scaled(architecture, width, depth, image_size, keep_widths=width == 1)
    origin = {
        "by": "scaling",
        "of": architecture.name,
        "width": width,
        "depth": depth,
        "resolution": made.image_size / architecture.image_size,
        "original": architecture.origin,
    }
    name = name or f"{architecture.name}_w{width:g}_d{depth:g}{_size_words(made, architecture)}"
    return dataclasses.replace(made, name=name, origin=origin)


def scale_to(architecture, params=None, macs=None, image_size=None, name=None):
    """Scales an architecture by the compound rule until it costs as much as asked for.

    Width and depth are scaled with `compound(phi)`, phi in steps of 0.0001. Costs jump
    where a width or a number of layers is rounded: the phi that comes nearest to the
    target is taken. Where that is still more than 0.5 % off, the depth of a phi on either
    side of the jump is kept and the width coefficient alone is moved, in steps of 0.0001,
    to come nearer (our choice). Widths jump together, so some targets stay a few per cent
    away: `origin` says how far.

    Args:
        architecture: an `architectures.Architecture`.
        params: trainable parameters to reach.
        macs: MACs to reach; exactly one of the two is given.
        image_size: height and width in pixels of the new network's image; `None` keeps it
            (as DNA's Table 5, evaluated at 224), `"compound"` scales it too, to the
            nearest multiple of 8, halves up (our choice).
        name: the new network's name; `None` makes one, such as `"dna_c_params_64.9M"`.

    Returns:
        As `scale`. `origin` has also `target`, such as `{"params": 64900000}`, `reached`,
        `difference` (a fraction of the target, above 0 if the network is larger), `phi`,
        and `refined`: whether the width was moved away from `compound(phi)`.

    Raises:
        ValueError: not exactly one target, or one that cannot be reached: below one
            layer per block of width 8, or above phi 20. The message has what can be.
    """
    cost_name, target = _check_target(params, macs)

    def make(phi, width=None):
        rule = compound(phi)
        size = image_size
        if image_size == "compound":
            size = _scaled_size(architecture.image_size, rule.resolution)
        return (rule.width if width is None else width), rule.depth, size

    def count(*choice):  # rises with each part of the choice
        return _scaled(architecture, *make(*choice)).costs()[cost_name]

    def reach(choice):
        return scale(architecture, *make(*choice)).costs()[cost_name]

    def order(choice):  # the nearest first; then the one that is changed least
        return abs(reach(choice) - target), len(choice), [abs(part) for part in choice]

    low, high = _lowest_phi(architecture), MAX_PHI
    phis = _around(count, target, low, high)
    # Unscaled, widths need not be multiples of 8, so that phi 0 is no step of the others.
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
    made = scale(architecture, *make(*best))
    reached = made.costs()[cost_name]
    found = {
        "target": {cost_name: target},
        "reached": reached,
        "difference": reached / target - 1,
        "phi": best[0],
        "refined": len(best) == 2,
    }
    words = f"{cost_name}_{_exact_count(target)}{_size_words(made, architecture)}"
    return dataclasses.replace(
        made, name=name or f"{architecture.name}_{words}", origin={**made.origin, **found}
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
        stem_layers=round_depth(old.stem_layers, depth),
    )
    blocks = []
    for block in architecture.blocks:
        layers, made = len(block.ops), round_depth(len(block.ops), depth)
        ops = tuple(block.ops[i * layers // made] for i in range(made))
        blocks.append(
            dataclasses.replace(
                block, width=wide(block.width), ops=ops, cell=None, path=None, rating=None
            )
        )
    scaled = dataclasses.replace(architecture, blocks=tuple(blocks), frame=frame)
    return scaled.adapted(image_size=image_size)


def _scaled_size(image_size, coefficient):
    """The image size that `"compound"` means; a coefficient of 1 keeps it."""
    if coefficient == 1:
        return image_size
    return max(DIVISOR, int(image_size * coefficient / DIVISOR + 0.5) * DIVISOR)


def _lowest_phi(architecture):
    """A whole phi at which nothing can become smaller."""
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
    """Where a rising count passes the target: the last step at or below it and the next.

    Args:
        count: a function from a number to an int, which never falls.
        target: the count to reach.
        low: where to begin.
        high: where to end.

    Returns:
        Two numbers of steps of `1 / _STEPS`; `low` or `high` twice if all counts are
        above, or none is.
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
    if not number or not 0 < value <= MAX_COEFFICIENT:  # NaN is in no range
        raise ValueError(
            f"The {what} coefficient must be a number above 0 and at most {MAX_COEFFICIENT}. "
            f"Received: {value!r}"
        )


def _check_target(params, macs):
    given = {k: v for k, v in zip(TARGETS, (params, macs), strict=True) if v is not None}
    if len(given) != 1:
        raise ValueError(
            f"Give exactly one target, params or macs. Received: params={params!r}, macs={macs!r}"
        )
    ((cost_name, target),) = given.items()
    checks.check_whole(cost_name, target, 1)
    return cost_name, target


def _exact_count(count):
    text = formatting.format_count(count)
    return text if formatting.parse_count(text) == count else str(count)


def _size_words(made, architecture):
    return "" if made.image_size == architecture.image_size else f"_at{made.image_size}"
