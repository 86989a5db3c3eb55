"""What can be chosen, and the tables over it: spaces, architectures, costs, limits, ratings."""
