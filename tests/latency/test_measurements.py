"""Measurements: saved, resumed, repeated when noisy, refused under other conditions."""

import json

import pytest

from dna_tf.latency import measurements, tables
from dna_tf.space import op_costs
from tests.helpers.fake_meter import CONDITIONS, KEYS, FakeMeter, measured_parts, part_ms


def test_interrupted_measuring_goes_on_where_it_stopped(tmp_path):
    path, meter = tmp_path / "a.measured.json", FakeMeter(part_ms, fails_at=3)
    with pytest.raises(KeyboardInterrupt):
        measured_parts(path, meter)
    first = list(meter.asked)
    assert len(first) == 2 * measurements.GROUP
    again = FakeMeter(part_ms)
    done = measured_parts(path, again)
    assert first + again.asked == KEYS
    assert list(done.parts) == KEYS
    assert done.parts[KEYS[3]] == op_costs.CostEntry(part_ms(KEYS[3]), 30, 0.0)
    read = measurements.Measurements(path)
    assert (read.parts, read.conditions) == (done.parts, CONDITIONS)
    once_more = FakeMeter(part_ms)
    measured_parts(path, once_more)
    assert once_more.calls == 0


def test_noise_is_measured_again_and_then_told(tmp_path):
    shaky, hopeless, worse = KEYS[1], KEYS[5], KEYS[7]

    def spread(key, times):
        noisy = {shaky: 0.5 if times < 2 else 0.01, hopeless: 0.6 / times, worse: 0.15 * times}
        return noisy.get(key, 0.02)

    meter = FakeMeter(part_ms, spread)
    done = measured_parts(tmp_path / "a.json", meter)
    assert meter.asked.count(shaky) == 2 and meter.asked.count(hopeless) == 3
    assert meter.asked.count(KEYS[2]) == 1
    assert done.noisy == {str(hopeless): 0.2, str(worse): 0.15}  # the steadiest stays
    assert done.parts[shaky].spread == pytest.approx(0.01 * part_ms(shaky))
    assert tables.make_table(done, tables.Overhead()).about["noisy"] == done.noisy


def test_summary_is_median_and_half_the_quartile_distance():
    entry = measurements.summarize([1.0, 2.0, 3.0, 4.0, 100.0], 7)
    assert entry == op_costs.CostEntry(3.0, 7, 1.0)


def test_other_conditions_and_broken_files_are_refused(tmp_path):
    path = tmp_path / "a.measured.json"
    measured_parts(path, FakeMeter(part_ms))
    for name, value in (("runtime", "none 2.0"), ("threads", 2), ("device", "other")):
        with pytest.raises(ValueError, match=f"other conditions .{name}: .* there, .* now"):
            measurements.Measurements(path, {**CONDITIONS, name: value})
    good = json.loads(path.read_text())
    for change, message in (
        ({"version": 9}, "version 9; this reads 1"),
        ({"kind": "x"}, "expected to be of kind"),
        ({"parts": [{**good["parts"][0], "value": -1.0}]}, "must be a finite number of at least 0"),
        ({"parts": [{"value": 1.0}]}, "cannot be used"),
    ):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(ValueError, match=message):
            measurements.Measurements(path, CONDITIONS)
    path.write_text(json.dumps(good)[:300])
    with pytest.raises(ValueError, match="truncated.*Delete it and measure again"):
        measurements.Measurements(path, CONDITIONS)
    with pytest.raises(FileNotFoundError, match="no file"):
        measurements.Measurements(tmp_path / "absent.json")
