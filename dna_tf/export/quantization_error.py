"""Which layers hurt an int8 file: the error of each, and what keeping the worst in float brings.

Two things are measured. The error of an operator by itself: its input is that of the int8
file (the first one's the image), and what it gives in 8 bits is held against what it gives in
float with float weights (TensorFlow's `QuantizationDebugger`). And the harm: how far the
file's scores move from Keras' if that operator alone is in 8 bits and all others are in float.
A large error need not do harm.
"""

import numpy as np

from dna_tf.common import progress
from dna_tf.export import conversion
from dna_tf.models import inference

KIND = "dna_tf.quantization_error"
# Images on which operators are compared one by one, in slow reference kernels.
_DEBUG_IMAGES = 16


def measure(
    model, calibration, images, expected, tried=0, per_channel=True, least_agreement=0.95, kept=()
):
    """Measures which layers hurt when a model is quantised to int8.

    Args:
        model: the functional `keras.Model` that is converted.
        calibration: images `(images, height, width, channels)` as the model takes them,
            from which the ranges are taken.
        images: likewise, on which the errors are measured: neither of training nor of
            testing, if layers are chosen by them.
        expected: the float model's scores of them, `(images, classes)`.
        tried: for how many of the layers with the largest errors the harm is measured; 0
            measures it for all.
        per_channel: as for `conversion.convert`.
        least_agreement: share of equal answers that is aimed at.
        kept: names of layers that stay in float throughout.

    Returns:
        A dict. `int8`: `score_error` (rms of the scores' difference over their standard
        deviation) and `agreement` of the file as it is; `layers`, sorted by harm: `layers`,
        the names of those that are one operator, `relative_rms_error` of what it gives,
        `score_error` with it alone in 8 bits, and `harm`, its share in the sum of the
        squares of these, `None` if not tried; `together`: `score_error` and `agreement`
        with the 1, 2, 4, ... most harmful ones in float at once, until that is enough;
        `float_layers`: the fewest of these that reach `least_agreement`, or those that come
        nearest; empty if the file needs none.
    """
    made = conversion.FloatLayers(model, calibration, per_channel, images[:_DEBUG_IMAGES], _METRICS)
    rows = _errors(made, kept)

    every = {layer for layers in made.nodes.values() for layer in layers}

    def with_float(layers):
        content = made.convert(tuple(layers))
        scores = inference.TFLitePredictor(content, "the int8 file").scores(images)
        spread = max(float(np.std(expected)), 1e-12)
        return {
            "score_error": float(np.sqrt(np.mean((scores - expected) ** 2)) / spread),
            "agreement": float(np.mean(scores.argmax(-1) == expected.argmax(-1))),
        }

    plain = with_float(kept)
    rows.sort(key=lambda row: -row["relative_rms_error"])
    count = min(tried, len(rows)) if tried else len(rows)
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
    """The result as lines of text, the most harmful layers first.

    Args:
        result: of `measure`.
        count: how many layers are listed.
    """
    plain = result["int8"]
    made = [
        f"int8 as it is: score error {plain['score_error']:.3f}, agreement "
        f"{100 * plain['agreement']:.1f} % on {result['images']} images",
        f"{'harm':>7}  {'own error':>9}  {'alone':>6}  in 8 bits alone",
    ]
    for row in result["layers"][:count]:
        tried = row["harm"] is not None
        harm = f"{100 * row['harm']:.1f} %" if tried else "-"
        alone = f"{row['score_error']:.3f}" if tried else "-"
        error = f"{100 * row['relative_rms_error']:.2f} %"
        made.append(f"{harm:>7}  {error:>9}  {alone:>6}  {' + '.join(row['layers'])}")
    for row in result["together"]:
        made.append(
            f"{len(row['float_layers'])} most harmful in float: score error "
            f"{row['score_error']:.3f}, agreement {100 * row['agreement']:.1f} %"
        )
    return made


def _square_error(values, quantised, scale, zero_point):
    return np.mean((values - (quantised.astype(np.float32) - zero_point) * scale) ** 2)


def _variance(values, quantised, scale, zero_point):
    # What never varies, such as a map of one number, is held against its size.
    return np.var(values) or np.mean(values**2)


_METRICS = {"square_error": _square_error, "variance": _variance}


def _errors(made, kept):
    """A row for each group of layers that is one operator, or several of one layer."""
    made.run()
    found = {}
    for name, numbers in made.debugger.layer_statistics.items():
        node = name.removeprefix("NumericVerify/").rpartition(":")[0]
        layers = tuple(made.layers_of(node))
        if set(layers) & set(kept):
            continue
        error = float(np.sqrt(numbers["square_error"] / max(numbers["variance"], 1e-20)))
        found[layers] = max(error, found.get(layers, 0.0))
    return [{"layers": list(key), "relative_rms_error": error} for key, error in found.items()]


def _together(rows, kept, with_float, plain, least_agreement):
    """The most harmful layers in float at once: 1, 2, 4, ... of them, until that is enough."""
    harmful = [row["layers"][0] for row in rows if row["harm"]]
    made, count = [], 1
    while harmful and plain["agreement"] < least_agreement:
        names = harmful[:count]
        made.append({"float_layers": names} | with_float([*kept, *names]))
        if made[-1]["agreement"] >= least_agreement or count >= len(harmful):
            break
        count *= 2
    return made


def _chosen(plain, together, least_agreement):
    enough = [row for row in together if row["agreement"] >= least_agreement]
    if plain["agreement"] >= least_agreement or not together:
        return []
    if enough:
        return enough[0]["float_layers"]
    best = max(together, key=lambda row: (row["agreement"], -row["score_error"]))
    return best["float_layers"] if best["agreement"] > plain["agreement"] else []
