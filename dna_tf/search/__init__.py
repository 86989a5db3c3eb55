"""The best architectures under limits: exact, fronts, and the searches these are compared with."""
