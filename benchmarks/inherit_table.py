"""The table and the tests of `benchmarks.inherit_cifar10`, from the files of its trainings."""

from dna_tf.common import files, formatting, statistics

_NAMES = {
    "a": "searched, inherited",
    "b": "the same, fresh weights",
    "c": "random ones of its MACs, inherited",
    "d": "by hand, labels",
    "e": "by hand, the teacher's answers",
    "f": "the same, for the CPU time of a",
}


def show(folder, budgets):
    """Prints what is there so far.

    Args:
        folder: of the results.
        budgets: names of the budgets.
    """
    for budget in budgets:
        results = read(folder / budget)
        print(f"\n{budget} MACs: test accuracy in %, mean and standard deviation")
        for line in formatting.aligned([_HEAD, *rows(results)], right=range(1, len(_HEAD))):
            print(f"  {line}")
        for first, second in (("a", "f"), ("a", "c"), ("a", "b"), ("a", "e"), ("a", "d")):
            if results.get(first) and results.get(second):
                print(f"  {first} - {second}: {difference(results[first], results[second])}")
    totals = {}
    for path in sorted(folder.glob("cpu_seconds_*.json")):
        seconds = files.read_json(path, "dna_tf.inherit_cifar10", "")["seconds"]
        for name, value in seconds.items():
            if " " not in name:  # those of trainings are in the table
                totals[name] = totals.get(name, 0.0) + value
    print("\nCPU seconds:", {name: round(value) for name, value in totals.items()})


_HEAD = ["", "seeds", "accuracy", "each", "epochs", "params", "CPU s of a training"]


def read(folder):
    """The results of a budget: a dict from `"a"` ... `"f"` to a list of contents of files."""
    results = {}
    for path in sorted(folder.glob("*_seed*.json")):
        content = files.read_json(path, "dna_tf.inherit_cifar10", "Delete it.")
        results.setdefault(content["name"][0], []).append(content)
    return results


def rows(results):
    """The lines of the table of a budget, each a list of texts."""
    lines = []
    for name, text in _NAMES.items():
        there = results.get(name, [])
        if not there:
            continue
        mean, deviation = statistics.mean_and_std(accuracies(there))
        each = " ".join(f"{value:.2f}" for value in accuracies(there))
        spread = "" if deviation is None else f" +- {deviation:.2f}"
        params = {formatting.format_count(result["params"]) for result in there}
        seconds = sum(result["cpu_seconds"] for result in there) / len(there)
        lines.append(
            [
                f"{name}: {text}",
                str(len(there)),
                f"{mean:.2f}{spread}",
                each,
                str(there[0]["epochs"]),
                params.pop() if len(params) == 1 else "",
                f"{seconds:.0f}",
            ]
        )
    return lines


def accuracies(results):
    """Test accuracies in percent."""
    return [100 * result["correct"] / result["images"] for result in results]


def difference(first, second):
    """Welch's interval of the difference of two means, as a text."""
    result = statistics.welch(accuracies(first), accuracies(second))
    if result.low is None:
        return f"{result.value:+.2f} points; no interval, too few trainings"
    return f"{result.value:+.2f} points, 95 % interval {result.low:+.2f} to {result.high:+.2f}"
