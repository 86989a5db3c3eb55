"""The teacher's maps as seeded batches: from memory, from disk, or computed in each step.

Read in this order:

    feature_batches.py  the batches of each epoch, in one of three modes
    cache_writer.py     writes the maps of all training images to disk, once, resumable
    feature_cache.py    reads them as seeded epochs of batches
    shard_files.py      the files of a cache: shards with checksums, and a manifest
    record_layout.py    one image and its maps as bytes
"""
