"""Runs the test file that Bazel names on the command line, and only that one, with pytest."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:]))
