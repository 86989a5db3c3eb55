"""The cells, their training, and the rating of their paths."""
