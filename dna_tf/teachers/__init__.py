"""Which model teaches, and where it is cut into blocks."""
