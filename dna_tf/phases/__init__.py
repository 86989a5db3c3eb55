"""The phases of a run: each reads workdir and config, calls the rooms, and writes results."""
