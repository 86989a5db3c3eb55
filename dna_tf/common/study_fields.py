"""The fields of the JSON files that studies of a run write: rankings, progress, tables.

`file_fields` has those of the run itself.
"""

from dna_tf.common.records import (
    anything,
    flag,
    list_of,
    mapping_of,
    number,
    optional,
    table,
    text,
    whole,
)

_COUNTS = {"params": optional(whole()), "macs": optional(whole())}
# A correlation with the ends of its interval; `None` where there is none.
_CORRELATION = list_of(optional(number(-2, 2)), length=3)
_ROW = table(
    {
        "score": text,
        "tau": _CORRELATION,
        "spearman": _CORRELATION,
        "pearson": _CORRELATION,
        "ahead": mapping_of(_CORRELATION),
        "partial": mapping_of(_CORRELATION),
        "bands": mapping_of(table({"tau": _CORRELATION, "right": whole(), "pairs": whole()})),
    }
)

FIELDS = {
    "dna_tf.network_scores": table(
        {
            "ratings": text,
            "metric": text,
            "weights": list_of(number(0)),
            "scores": mapping_of(
                table({"blocks": text, "rating": number(), "untrained": optional(number())})
            ),
        }
    ),
    "dna_tf.benchmarks": table(
        {
            "commit": text,
            "date": text,
            "machine": text,
            "benchmarks": mapping_of(
                table(
                    {
                        "figures": mapping_of(anything),
                        "command": text,
                        "seed": whole(),
                        "calibration_s": number(0),
                        "busy": flag,
                    }
                )
            ),
        }
    ),
    "dna_tf.block_weights": table(
        {
            "metric": text,
            "ratings": text,
            "weights": list_of(number(0)),
            "intercept": number(),
            "slope": number(0),
            "ridge": number(0),
            "tau": number(-1, 1),
            "tau_equal": number(-1, 1),
            "networks": list_of(
                table(
                    {
                        "name": text,
                        "macs": whole(),
                        "params": whole(),
                        "accuracy": number(0, 1),
                        "predicted": number(),
                    }
                )
            ),
        }
    ),
    "dna_tf.network_ranking": table(
        {
            "name": text,
            "space": text,
            "metric": text,
            "draw": text,
            "seeds": whole(1),
            "test_images": whole(1),
            "networks": list_of(
                table(
                    {
                        "name": text,
                        "blocks": text,
                        **_COUNTS,
                        "expanded": whole(),
                        "rating": number(),
                        "untrained": optional(number()),
                        "accuracies": list_of(number(0, 1)),
                    }
                )
            ),
            "rows": list_of(_ROW),
            "left_out": list_of(text),
            "lines": list_of(text),
        }
    ),
    "dna_tf.search_progress": table(
        {
            "space": text,
            "metric": text,
            "limits": mapping_of(number()),
            "training": list_of(number()),
            "drawn": whole(1),
            "points": list_of(
                table(
                    {
                        "epochs": whole(),
                        "tau": _CORRELATION,
                        "cells_tau": optional(number(-1, 1)),
                        "winner": text,
                        "blocks": text,
                        **_COUNTS,
                        "rating": number(),
                        "random": optional(number()),
                        "randoms": whole(),
                        "accuracies": list_of(number(0, 1)),
                    }
                )
            ),
        }
    ),
    "dna_tf.matrix": table(
        {
            "published": text,
            "data": text,
            "teachers": list_of(
                table(
                    {
                        "row": text,
                        "model": text,
                        **_COUNTS,
                        "test_accuracy": optional(number(0, 1)),
                        "test_images": whole(),
                    }
                )
            ),
            "rows": list_of(
                table(
                    {
                        "name": text,
                        "run": text,
                        "changes": mapping_of(text),
                        "limits": mapping_of(number()),
                        "blocks": text,
                        **_COUNTS,
                        "rating": optional(number()),
                        "accuracies": list_of(number(0, 1)),
                        "controls": list_of(number(0, 1)),
                        "test_images": whole(),
                        "note": text,
                    }
                )
            ),
        }
    ),
}
