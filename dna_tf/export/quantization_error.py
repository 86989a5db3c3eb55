"""Measures which layers hurt an int8 file, and how much keeping the worst in float helps.

Two figures are measured for each operator. Its own error: the operator gets its input from the int8
file, and its output in 8 bits is compared with its output in float with float weights
(TensorFlow's `QuantizationDebugger`). And its harm: how far the file's scores are from those of
Keras if this operator alone is in 8 bits and all others are in float. An operator with a large
error need not do harm.
"""

import numpy as np

from dna_tf.common import progress
from dna_tf.export import agreement, conversion

KIND = "dna_tf.quantization_error"
# Images on which operators are compared one by one, in slow reference kernels.
_DEBUG_IMAGES = 16


def measure(
    model,
    calibration,
    images,
    expected,
    most_tried=0,
    per_channel=True,
    least_agreement=0.95,
    kept=(),
):
    """Measures which layers hurt when a model is quantised to int8.

    Args:
        model: the functional `keras.Model` that is converted.
        calibration: images `(images, height, width, channels)` as the model takes them,
            for the ranges.
        images: likewise, for the errors. They should be neither training nor test images
            if layers are chosen by the result.
        expected: the float model's scores for `images`, `(images, classes)`.
        most_tried: for how many layers, those with the largest errors, the harm is
            measured; 0 measures it for all.
        per_channel: as for `conversion.convert`.
        least_agreement: the share of equal answers to reach.
        kept: names of layers that stay in float throughout.

    Returns:
        A dict with these entries.
        `int8`: `score_error` (rms of the difference of the scores, relative to their
        standard deviation) and `agreement` of the int8 file.
        `layers`: a list, the most harmful first. A row has `layers`, the names of the
        layers that are one operator; `relative_rms_error`, the operator's own error;
        `score_error` with this operator alone in 8 bits; and `harm`, the square of that
        as a share of the sum over all rows. The last two are `None` if not measured.
        `together`: a list with `score_error` and `agreement` for the 1, 2, 4, ... most
        harmful layers in float at once, until the agreement is reached.
        `float_layers`: the fewest of these that reach `least_agreement`, or those that come
        nearest to it; empty if the file needs none.
    """
    converter = conversion.FloatLayers(
        model, calibration, per_channel, images[:_DEBUG_IMAGES], _METRICS
    )
    rows = _own_errors(converter, kept)
    every = {layer for layers in converter.nodes.values() for layer in layers}

    def with_float(layers):
        content = converter.convert(tuple(layers))
        scores = agreement.file_scores(content, images)
        spread = max(float(np.std(expected)), 1e-12)
        return {
            "score_error": float(np.sqrt(np.mean((scores - expected) ** 2)) / spread),
            "agreement": agreement.same_answers(scores, expected),
        }

    plain = with_float(kept)
    rows.sort(key=lambda row: -row["relative_rms_error"])
    count = min(most_tried, len(rows)) if most_tried else len(rows)
    for row in progress.track(rows[:count], "layers in 8 bits one by one", "layer"):
        row["score_error"] = with_float(sorted(every - set(row["layers"])))["score_error"]
    total = sum(row["score_error"] ** 2 for row in rows[:count]) or 1.0
    for row in rows[:count]:
        row["harm"] = row["score_error"] ** 2 / total
    for row in rows[count:]:
        row |= {"score_error": None, "harm": None}
    rows = sorted(rows[:count], key=lambda row: -row["harm"]) + rows[count:]
    together = _together(rows, kept, with_float, plain, least_agreement)
    return {
        "kind": KIND,
        "images": len(images),
        "calibration_images": len(calibration),
        "kept_in_float": list(kept),
        "int8": plain,
        "layers": rows,
        "together": together,
        "float_layers": _chosen(plain, together, least_agreement),
    }


def table(result, count=20):
    """Formats the result as lines of text, the most harmful layers first.

    Args:
        result: the dict that `measure` returns.
        count: how many layers are listed.
    """
    plain = result["int8"]
    lines = [
        f"int8 as it is: score error {plain['score_error']:.3f}, agreement "
        f"{100 * plain['agreement']:.1f} % on {result['images']} images",
        f"{'harm':>7}  {'own error':>9}  {'alone':>6}  in 8 bits alone",
    ]
    for row in result["layers"][:count]:
        is_measured = row["harm"] is not None
        harm = f"{100 * row['harm']:.1f} %" if is_measured else "-"
        alone = f"{row['score_error']:.3f}" if is_measured else "-"
        error = f"{100 * row['relative_rms_error']:.2f} %"
        lines.append(f"{harm:>7}  {error:>9}  {alone:>6}  {' + '.join(row['layers'])}")
    for row in result["together"]:
        lines.append(
            f"{len(row['float_layers'])} most harmful in float: score error "
            f"{row['score_error']:.3f}, agreement {100 * row['agreement']:.1f} %"
        )
    return lines


def _square_error(values, quantised, scale, zero_point):
    return np.mean((values - (quantised.astype(np.float32) - zero_point) * scale) ** 2)


def _variance(values, quantised, scale, zero_point):
    # The mean square stands in for the variance of constant values, such as a 1x1 map.
    return np.var(values) or np.mean(values**2)


_METRICS = {"square_error": _square_error, "variance": _variance}


def _own_errors(converter, kept):
    """A row for each group of layers that is one operator, or several operators of one layer."""
    converter.run()
    errors = {}
    for name, figures in converter.debugger.layer_statistics.items():
        node = name.removeprefix("NumericVerify/").rpartition(":")[0]
        layers = tuple(converter.layers_of(node))
        if set(layers) & set(kept):
            continue
        error = float(np.sqrt(figures["square_error"] / max(figures["variance"], 1e-20)))
        errors[layers] = max(error, errors.get(layers, 0.0))
    return [{"layers": list(key), "relative_rms_error": error} for key, error in errors.items()]


def _together(rows, kept, with_float, plain, least_agreement):
    """Keeps the 1, 2, 4, ... most harmful layers in float at once, until that is enough."""
    harmful = [row["layers"][0] for row in rows if row["harm"]]
    together, count = [], 1
    while harmful and plain["agreement"] < least_agreement:
        names = harmful[:count]
        together.append({"float_layers": names} | with_float([*kept, *names]))
        if together[-1]["agreement"] >= least_agreement or count >= len(harmful):
            break
        count *= 2
    return together


def _chosen(plain, together, least_agreement):
    enough = [row for row in together if row["agreement"] >= least_agreement]
    if plain["agreement"] >= least_agreement or not together:
        return []
    if enough:
        return enough[0]["float_layers"]
    best = max(together, key=lambda row: (row["agreement"], -row["score_error"]))
    return best["float_layers"] if best["agreement"] > plain["agreement"] else []
