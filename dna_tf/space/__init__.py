"""What can be chosen, and the tables over it: ops, cells, spaces, architectures, costs, limits, ratings."""
