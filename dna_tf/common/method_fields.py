"""The fields of the JSON files of methods beside DNA: part of `file_fields`."""

from dna_tf.common.records import flag, list_of, mapping_of, number, optional, table, text, whole

_SHARE = number(0, 1)
_COUNTS = {"params": optional(whole()), "macs": optional(whole())}

FIELDS = {
    "dna_tf.table_comparison": table(
        {
            "questions": mapping_of(
                table(
                    {
                        "fingerprint": text,
                        "results": mapping_of(
                            table(
                                {"row": list_of(whole()), "evaluations": whole(), "problem": text}
                            )
                        ),
                    }
                )
            )
        }
    ),
    "dna_tf.angles": table(
        {
            "parts": text,
            "space": text,
            "seed": whole(),
            "made_from": text,
            "num_architectures": whole(0, None),
            "drawn": whole(1),
            "spread": table({"networks": whole(1), "degrees": list_of(number(0, 180), length=3)}),
            "orders": list_of(
                table(
                    {
                        "score": text,
                        **{
                            f"{end}{of}": optional(number(-1, 1))
                            for end in ("tau", "low", "high")
                            for of in ("", "_of_rating")
                        },
                    }
                )
            ),
            "best": list_of(
                table(
                    {
                        "name": text,
                        "limits": mapping_of(number()),
                        "cosine": number(-1, 1),
                        "bound": number(-1, 1),
                        "certified": flag,
                        "degrees": mapping_of(number(0, 180)),
                        **_COUNTS,
                        "rating": optional(number()),
                        "by_shapes": table({**_COUNTS, "degrees": number(0, 180)}),
                    }
                )
            ),
        }
    ),
    "dna_tf.whole": table(
        {
            "space": table({"name": text}),
            "task": table(
                {
                    "image_size": whole(1, 2**20),
                    "channels": whole(1, 2**20),
                    "num_classes": whole(1, 2**30),
                }
            ),
            "seed": whole(),
            "fingerprint": text,
            "data_fingerprint": text,
            "labels": text,
            "sampling": text,
            "steps": whole(1),
            "losses": list_of(number(0)),
            "accuracies": list_of(_SHARE),
            "op_counts": list_of(list_of(whole())),
        }
    ),
    "dna_tf.whole_scores": table(
        {
            "made_from": text,
            "images": whole(1),
            "scores": mapping_of(list_of(number(0), length=2)),
        }
    ),
    "dna_tf.slimmed": table(
        {
            "model": text,
            "made_from": text,
            "data_fingerprint": text,
            "widths": list_of(
                table(
                    {
                        "width": number(0, 1),
                        "file": text,
                        "params": whole(1),
                        "macs": optional(whole()),
                        "bytes": whole(1),
                        "correct": whole(),
                        "images": whole(1),
                    }
                )
            ),
            "can_teach": text,
        }
    ),
}
