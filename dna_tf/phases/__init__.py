"""The phases of a run: each reads the workdir and the config, calls the rooms with values, and writes results."""
