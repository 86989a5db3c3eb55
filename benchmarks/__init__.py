"""Benchmarks: each prints its figures, and one JSON object last with --json."""
