"""Pages, tables and figures from what a run holds."""
