"""The teacher's maps as seeded batches: from memory, from disk, or computed in each step."""
