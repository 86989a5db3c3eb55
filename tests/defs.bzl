"""The tests of a folder, one target each, run by pytest."""

load("@rules_python//python:defs.bzl", "py_test")

# What tests read and do not import.
_DATA = ["//:files", "//benchmarks:files", "//configs:files", "//dna_tf:files", "//tools:files"]

def room_tests(slow = []):
    """Declares a py_test for each test_*.py of the folder.

    Each runs through bazel_main.py: a test module that is merely executed defines its
    functions, runs none of them, and passes.

    Args:
        slow: names of the files that hold tests marked slow.
    """
    for file in native.glob(["test_*.py"]):
        py_test(
            name = file[:-3],
            size = "large" if file in slow else "medium",
            srcs = ["//tests:bazel_main.py", file],
            args = ["$(rootpath %s)" % file],
            data = _DATA,
            main = "//tests:bazel_main.py",
            deps = ["//tests:needed"],
        )
