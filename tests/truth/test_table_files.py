"""Files of tables: any order of rows, the public ones with their numbers, and broken files."""

import numpy as np
import pytest

from dna_tf.truth import table_files
from tests.helpers import public_tables

OPS = np.array([[a, b] for a in range(2) for b in range(3)], np.uint8)


def fields(**changes):
    rng = np.random.default_rng(0)
    content = {
        "ops": OPS,
        "acc": rng.uniform(80, 90, (6, 2)).astype(np.float32),
        "test": rng.uniform(80, 90, (6, 2)).astype(np.float32),
        "val": rng.uniform(80, 90, 6),
        "data_sets": np.array(["digits", "letters"]),
        "params": np.arange(6) + 10,
        "conv_macs_x": np.arange(6) + 100,
        "isomorphic": np.array([0, 1, 1, 2, 3, 4], np.uint16),
    } | changes
    return {name: value for name, value in content.items() if value is not None}


def load(folder, **changes):
    np.savez(folder / "mine.npz", **fields(**changes))
    return table_files.load_table(folder, "mine")


def test_rows_may_have_any_order(tmp_path):
    order = np.random.default_rng(1).permutation(6)
    content = fields()
    shuffled = {n: v if n == "data_sets" else v[order] for n, v in content.items()}
    table = load(tmp_path, **shuffled)
    assert table.options == (2, 3)
    assert set(table.truth) == {
        "acc_seed1", "acc_seed2", "acc_mean", "test_digits", "test_letters", "val",
    }  # fmt: skip
    np.testing.assert_array_equal(table.values("test_letters", OPS), content["test"][:, 1])
    np.testing.assert_allclose(
        table.values("acc_mean", OPS), content["acc"].astype(np.float64).mean(axis=1)
    )
    np.testing.assert_array_equal(table.cost("macs").ravel(), np.arange(6) + 100)
    np.testing.assert_array_equal(table.functions.ravel(), [0, 1, 1, 2, 3, 4])


def test_latencies_lie_beside(tmp_path):
    latency = np.arange(12, dtype=np.float32).reshape(2, 6)
    np.savez(tmp_path / "mine_latency.npz", devices=["Pixel-3", "gpu_1"], latency_ms=latency)
    table = load(tmp_path)
    assert list(table.costs)[2:] == ["latency_pixel_3_ms", "latency_gpu_1_ms"]
    assert table.values("latency_gpu_1_ms", (1, 2)) == 11
    np.savez(tmp_path / "mine_latency.npz", devices=["a", "A"], latency_ms=latency)
    with pytest.raises(ValueError, match="devices of .* must differ"):
        load(tmp_path)
    np.savez(tmp_path / "mine_latency.npz", devices=["a", "b"], latency_ms=latency[:, :5])
    with pytest.raises(ValueError, match=r"latency_ms.*shape \(2, 6\).*shape \(2, 5\)"):
        load(tmp_path)
    np.savez(tmp_path / "mine_latency.npz", devices=["a", "b"], latency_ms=latency * np.nan)
    with pytest.raises(ValueError, match="mine_latency.npz must be finite"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ops": None}, "has no field 'ops'. Expected: .* Received the fields"),
        ({"ops": OPS[:5]}, "each of the 6 networks .* 5 rows, 5 of them different"),
        ({"ops": OPS[[0, 1, 2, 3, 5, 5]]}, "6 rows, 5 of them different"),
        ({"ops": OPS.astype(np.float32)}, "'ops' .* must be whole numbers. .* float32"),
        ({"ops": OPS[:, 0]}, r"'ops' .* shape \('any', 'any'\)"),
        ({"ops": OPS.astype(np.int8) - 1}, "at least 0"),
        ({"params": np.arange(5)}, r"'params' .* shape \(6,\).* shape \(5,\)"),
        ({"params": np.arange(6.0)}, "'params' .* must be whole numbers"),
        ({"macs": np.arange(6)}, "has macs twice"),
        ({"val": np.arange(6)}, "'val' .* must be floats. Received: the type int64"),
        ({"val": np.full(6, np.nan)}, "mine.npz has a wrong field: .* must be finite"),
        ({"val": np.array([1.0, None] * 3, object)}, "truncated or damaged: Object arrays"),
        ({"data_sets": np.array(["digits"])}, r"'data_sets' .* shape \(2,\)"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, **changes)


def test_a_file_that_is_not_there_or_not_whole(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table 'nb201': expected .* without tables"):
        table_files.load_table(tmp_path, "nb201")
    load(tmp_path)
    with pytest.raises(FileNotFoundError, match="Received: a folder with mine.npz"):
        table_files.load_table(tmp_path, "nb201")
    content = (tmp_path / "mine.npz").read_bytes()
    for size in (0, 100, len(content) - 30):
        (tmp_path / "mine.npz").write_bytes(content[:size])
        with pytest.raises(ValueError, match="mine.npz is truncated or damaged"):
            table_files.load_table(tmp_path, "mine")
    with pytest.raises(ValueError, match="The name of a table"):
        table_files.load_table(tmp_path, "../mine")
    np.savez(tmp_path / "nb201.npz", **fields())
    with pytest.raises(ValueError, match=r"15,625 networks of \(5, 5, 5, 5, 5, 5\)"):
        table_files.load_table(tmp_path, "nb201")


@public_tables.needed
def test_nas_bench_201_has_the_published_numbers():
    table = public_tables.load("nb201")
    assert (table.num_networks, len(table.truth), len(table.costs)) == (15_625, 9, 29)
    rows = {"cifar10": ((3, 3, 3, 1, 2, 3), 94.3733), "cifar100": (None, 73.5133)}
    rows["imagenet16_120"] = (None, 47.3111)
    noise = {"cifar10": 0.25, "cifar100": 0.42, "imagenet16_120": 0.61}
    for data_set, (row, value) in rows.items():
        best = table.best(f"test200_{data_set}")
        assert best[1] == pytest.approx(value, abs=1e-4) and row in (None, best[0])
    # Row 6111 of the benchmark: |3x3~0|+|3x3~0|3x3~1|+|skip~0|3x3~1|1x1~2|
    assert table.values("test200_cifar10", (3, 3, 3, 1, 3, 2)) == pytest.approx(94.3733, abs=1e-4)
    assert table.values("params", (3,) * 6) == 1_531_546
    assert table.values("macs", (3,) * 6) == 220_119_680
    row_0 = (4, 2, 1, 2, 1, 1)
    first = [table.values(f"latency_{d}_ms", row_0) for d in ("raspi4", "pixel3", "eyeriss")]
    assert first == pytest.approx([10.48198, 3.60585, 3.64562], abs=1e-5)
    deviation, count = table.noise("test200_cifar10", least=50)
    assert (round(deviation, 2), count) == (noise["cifar10"], 1341)
    for data_set in ("cifar100", "imagenet16_120"):
        above = table.column("test200_cifar10") > 50
        numbers, values = table.functions[above], table.column(f"test200_{data_set}")[above]
        squares = degrees = 0.0
        for number in np.unique(numbers):
            of_one = values[numbers == number]
            squares += len(of_one) * of_one.var()
            degrees += len(of_one) - 1
        assert round(np.sqrt(squares / degrees), 2) == pytest.approx(noise[data_set], abs=0.02)


@public_tables.needed
def test_nas_bench_macro_has_the_published_numbers():
    table = public_tables.load("nas_bench_macro")
    row, value = table.best("acc_mean")
    assert row == (2, 2, 2, 1, 2, 2, 0, 2) and value == pytest.approx(93.127, abs=1e-3)
    for text, accuracy, params, macs in (
        ("00000000", 45.363, 387_882, 7_713_280),
        ("11111111", 91.930, 1_588_874, 53_246_464),
        ("22222222", 92.953, 2_932_586, 105_660_928),
        ("10000000", 57.250, 396_298, 12_128_768),
        ("12121212", 92.447, 2_330_186, 80_617_984),
        ("01010101", 87.827, 1_042_026, 31_611_392),
    ):
        row = tuple(map(int, text))
        assert table.values("acc_mean", row) == pytest.approx(accuracy, abs=1e-3)
        assert (table.values("params", row), table.values("macs", row)) == (params, macs)
