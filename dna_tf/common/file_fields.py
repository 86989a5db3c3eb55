"""The fields of the JSON files that this project writes, by the kind of the file.

`files.read_json` checks them. Kinds with a reader of their own, which checks everything (such as
architectures), are not here.
"""

from dna_tf.common import method_fields, study_fields
from dna_tf.common.records import (
    MOST,
    anything,
    file_name,
    flag,
    list_of,
    mapping_of,
    number,
    optional,
    table,
    text,
    whole,
)

_SHARE = number(0, 1)
_SHAPE = list_of(whole(1, 2**20), length=3)
_COUNTS = {"params": optional(whole()), "macs": optional(whole())}
_EPOCHS = list_of(mapping_of(number()))


def _counted(total, *parts):
    """A rule: no part is above the total."""

    def rule(value):
        for name in parts:
            part, whole_number = value.get(name), value.get(total)
            if part is not None and whole_number is not None and part > whole_number:
                return f"the field {name!r} is above the field {total!r}: {part} of {whole_number}"
        return ""

    return rule


def _as_long_as_classes(value):
    """A rule: the lists of an evaluation have an entry for each class."""
    classes = value.get("num_classes")
    lists = {"class_names": value.get("class_names"), **(value.get("per_class") or {})}
    for name, values in lists.items():
        if values is not None and classes is not None and len(values) != classes:
            return f"the field {name!r} has {len(values)} values for {classes} classes"
    rows = value.get("confusion") or {}
    for label in [*rows, *(answer for row in rows.values() for answer in row)]:
        if classes is None or not label.isdecimal() or not int(label) < classes:
            return f"the field 'confusion' has a class {label!r} of {classes} classes"
    per_class = value.get("per_class") or {}
    for name in ("top1_correct", "top5_correct"):
        pairs = zip(per_class.get(name) or (), per_class.get("images") or (), strict=False)
        if any(part > images for part, images in pairs):
            return f"the field 'per_class' has more right answers ({name}) than images"
    return _counted("test_images", "test_correct", "top5_correct")(value)


_ACCURACY = {
    "test_accuracy": optional(_SHARE),
    "test_correct": optional(whole()),
    "test_images": whole(),
    "data_fingerprint": text,
    "fingerprint": text,
}
_FILE = table(
    {
        "file": file_name,
        "bytes": whole(),
        "images": whole(),
        "accuracy": _SHARE,
        "agreement": _SHARE,
        "largest_difference": number(0),
        "good": flag,
        "operators": mapping_of(whole()),
        "commonly_refused": list_of(
            table({"operators": list_of(text), "count": whole(), "reason": text})
        ),
    }
)
_FINE_TUNED = {
    "architecture": text,
    "seed": whole(),
    "student": text,
    "data_fingerprint": text,
    "made_from": text,
    "file": file_name,
    "history": _EPOCHS,
    "epochs": whole(),
    "batch_size": whole(1),
    "learning_rate": number(),
}
_ANSWERS = table(
    {"bytes": whole(), "accuracy": _SHARE, "agreement": _SHARE, "largest_difference": number(0)}
)
_BYTES = mapping_of(optional(table({"file": whole(), "gzip": whole()})))
_LIST_OF_TEXTS = list_of(text)
_PLACE = table({"index": whole(), "image": text})

FIELDS = {
    # Of a config only what is read before the whole of it is checked.
    "dna_tf.config": table(
        {
            "config": table(
                {
                    "seed": whole(None),
                    "data": table({"source": text, "test_source": text}),
                    "teacher": table({"model": text, "cuts": _LIST_OF_TEXTS}),
                    "supernet": table({}),
                    "rating": table({}),
                    "search": table({"budgets": _LIST_OF_TEXTS, "chosen": whole(), "metric": text}),
                    "retrain": table({}),
                    "export": table({}),
                }
            )
        }
    ),
    "dna_tf.teacher": table(
        {
            "model": text,
            **_COUNTS,
            "num_classes": whole(1, 2**30),
            "class_names": _LIST_OF_TEXTS,
            "image_shape": _SHAPE,
            "counts": mapping_of(whole()),
            "cuts": list_of(table({"layer": text, "shape": _SHAPE, "params": whole()})),
            **_ACCURACY,
        },
        _counted("test_images", "test_correct"),
    ),
    "dna_tf.cell": table(
        {
            "cell": text,
            "teacher": text,
            "fingerprint": text,
            "rate_factor": number(0),
            "steps": whole(),
            "losses": list_of(number()),
            "relative_l1": list_of(number()),
        }
    ),
    "dna_tf.failed_cell": table(
        {
            "cell": text,
            "reason": text,
            "rate_factor": number(0),
            "failed_at_step": whole(),
            "losses": list_of(number()),
            "relative_l1": list_of(number()),
        }
    ),
    "dna_tf.history": table({"epochs": _EPOCHS}),
    "dna_tf.front": table(
        {
            "space": text,
            "num_architectures": whole(0, None),
            "front_costs": _LIST_OF_TEXTS,
            "weights": list_of(number(0)),
            "ratings": text,
            "limits": mapping_of(number()),
            "rounding": number(0),
            "entries": list_of(
                table(
                    {
                        "rating": number(),
                        "weighted_rating": number(),
                        "costs": mapping_of(number(-MOST, MOST)),
                        "blocks": text,
                        "name": text,
                    }
                )
            ),
        }
    ),
    "dna_tf.student": table(
        {
            "architecture": text,
            "seed": whole(),
            **_COUNTS,
            "seconds": number(0),
            "weights": text,
            "taken": text,
            "best_epoch": whole(),
            "best_rating_accuracy": _SHARE,
            **_ACCURACY,
        },
        _counted("test_images", "test_correct"),
    ),
    "dna_tf.export": table(
        {
            "architecture": text,
            "seed": whole(),
            "student": text,
            "asked": table({}),
            "keras_accuracy": optional(_SHARE),
            "keras_test_accuracy": optional(_SHARE),
            "images": whole(),
            "image_size": whole(1, 2**20),
            "calibration_images": whole(),
            "files": mapping_of(_FILE),
            "also": mapping_of(_FILE),
            "problems": mapping_of(text),
        }
    ),
    "dna_tf.evaluation": table(
        {
            "model": text,
            "model_fingerprint": text,
            "data": text,
            "settings": table({"image_size": whole(1, 2**20)}),
            "top5_correct": optional(whole()),
            "num_classes": whole(1, 2**30),
            **_COUNTS,
            "class_names": optional(_LIST_OF_TEXTS),
            "per_class": mapping_of(list_of(whole())),
            "confusion": mapping_of(mapping_of(whole(1))),
            "warnings": _LIST_OF_TEXTS,
            "seconds": number(0),
            "images_per_second": number(0),
            **_ACCURACY,
        },
        _as_long_as_classes,
    ),
    "dna_tf.qat": table(
        {
            **_FINE_TUNED,
            "images": whole(),
            "calibration_images": whole(),
            "float_accuracy": _SHARE,
            "int8_without_training": _ANSWERS,
            "before_training": _ANSWERS,
            "after_training": _ANSWERS,
            "file_accuracy": _SHARE,
            "file_bytes": whole(),
            "agreement_with_trained": _SHARE,
            "agreement_with_float": _SHARE,
            "largest_difference": number(0),
            "problem": optional(text),
            "good": flag,
        }
    ),
    "dna_tf.pruned": table(
        {
            **_FINE_TUNED,
            "fingerprint": text,
            "target_sparsity": _SHARE,
            "sparsity": mapping_of(_SHARE),
            "sparsity_of_all_weights": _SHARE,
            "test_images": whole(),
            "accuracy_before": _SHARE,
            "accuracy_after": _SHARE,
            "bytes_before": _BYTES,
            "bytes_after": _BYTES,
        }
    ),
    "dna_tf.compressed": table(
        {
            "asked": table({}),
            "fine_tune": table({}),
            "assembly": text,
            "limits": mapping_of(number(0)),
            "realised": list_of(
                table(
                    {
                        "assembly": text,
                        "costs": mapping_of(optional(number(0))),
                        "rating": number(0),
                        "kl": number(0),
                        "correct": whole(),
                        "images": whole(1),
                    },
                    _counted("images", "correct"),
                )
            ),
            "table": list_of(
                table(
                    {
                        "name": text,
                        "costs": mapping_of(optional(number(0))),
                        "kl": number(0),
                        "agreed": whole(),
                        "correct": whole(),
                        "images": whole(1),
                    },
                    _counted("images", "agreed", "correct"),
                )
            ),
            "data_fingerprint": text,
        }
    ),
    "dna_tf.additivity": table(
        {
            "count": whole(1),
            "seed": whole(),
            "teacher": text,
            "data_fingerprint": text,
            "rating_images": whole(1),
            "orders": list_of(
                table(
                    {
                        "score": text,
                        "tau": number(-1, 1),
                        "low": number(-1, 1),
                        "high": number(-1, 1),
                        "slope": optional(number()),
                    }
                )
            ),
            "networks": list_of(
                table(
                    {
                        "assembly": text,
                        **_COUNTS,
                        "kl": number(0),
                        "accuracy": _SHARE,
                        "sums": mapping_of(number(0)),
                    }
                )
            ),
        }
    ),
    "dna_tf.seeds": table(
        {
            "seeds": list_of(whole(), length=2),
            "rating_images": whole(1),
            "cells": list_of(
                table(
                    {
                        "cell": text,
                        "paths": whole(1),
                        "taus": mapping_of(number(-1, 1)),
                        "intervals": mapping_of(list_of(number(-1, 1), length=2)),
                    }
                )
            ),
        }
    ),
    **method_fields.FIELDS,
    **study_fields.FIELDS,
    "dna_tf.data": table({"labels": mapping_of(list_of(anything))}),
    "dna_tf.broken_images": table(
        {"sources": mapping_of(table({"name": text, "images": whole(), "broken": list_of(_PLACE)}))}
    ),
}
