"""The tools: one absl binary per phase of a run."""
