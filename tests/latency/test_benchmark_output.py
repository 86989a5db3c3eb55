"""What the two programs print, from recordings, and how they are called."""

import pytest

from dna_tf.latency import benchmark_output
from dna_tf.space import op_costs
from tests.helpers import fake_adb


def _new(median):
    return fake_adb.RECORDED_NEW.replace("MEDIAN", str(median))


def test_recorded_outputs_of_tflite():
    entry, delegated = benchmark_output.parse(_new(1150))
    assert entry == op_costs.CostEntry(1.15, 862, 0.019) and delegated is True
    entry, delegated = benchmark_output.parse(fake_adb.RECORDED_OLD)
    assert entry == op_costs.CostEntry(2950.34, 50, 109.798) and delegated is None
    logged = "\n".join(f"I tflite  : {line}" for line in _new(900).splitlines())
    assert benchmark_output.parse(logged.replace("INFO: ", ""))[0].value == 0.9
    partly = _new(900).replace("completely executed", "partially executed")
    assert benchmark_output.parse(partly)[1] is False


def test_a_recorded_output_of_litert():
    entry, delegated = benchmark_output.parse(fake_adb.RECORDED_LITERT)
    assert entry == op_costs.CostEntry(7430.2, 10, 9.92) and delegated is None


def test_a_median_is_better_than_the_mean_of_litert():
    counts = "count=50 first=9 curr=8 min=7 max=12 avg=8000 std=100 p5=7 median=7900 p95=9"
    entry, _ = benchmark_output.parse(f"{counts}\n{fake_adb.RECORDED_LITERT}")
    assert entry == op_costs.CostEntry(7.9, 50, 0.1)


@pytest.mark.parametrize("text", ["", "count=3 avg=4", "Inference (avg): 12 s", "Killed"])
def test_an_output_of_another_form_is_shown(text):
    with pytest.raises(ValueError, match=f"no timings.*LiteRT 2's.*ended with: {text[:6]}"):
        benchmark_output.parse(text)
    with pytest.raises(ValueError, match="ended with: nothing"):
        benchmark_output.parse("")


def test_the_flags_of_both_programs():
    of_tflite = benchmark_output.words("tflite", "/g", 2, 20)
    assert of_tflite == [
        "--graph=/g", "--num_threads=2", "--num_runs=20", "--warmup_runs=5", "--use_xnnpack=true",
    ]  # fmt: skip
    gpu = benchmark_output.words("tflite", "/g", 1, 20, "gpu")
    assert gpu[-2:] == ["--use_gpu=true", "--require_full_delegation=true"]
    cpu = benchmark_output.words("litert", "/g", 1, 20)
    assert cpu[-3:] == ["--use_cpu=1", "--use_gpu=0", "--use_npu=0"]
    assert benchmark_output.program_of(fake_adb.LITERT_HELP) == "litert"
    assert benchmark_output.program_of("--use_gpu=false --require_full_delegation") == "tflite"
