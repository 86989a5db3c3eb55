"""Labelled images: sources, splits, augmentation, seeded batches.

Read in this order:

    loading.py          images by the name of their source, or from arrays
    data_settings.py    the settings of data, with defaults and ranges
    labelled_images.py  the class Images: three splits, and the batches of an epoch
    sources.py          the kinds of sources by name, and how each is opened
    source_base.py      what every source can do, and how broken images are named
    image_files.py      images in files of their own, one in each
    folder_source.py    folders of images, one for each class
    list_source.py      lists of images with labels, a CSV file
    record_sources.py   sources that are read from front to back: TFRecord files, TFDS
    array_source.py     images and labels in memory as a source
    label_checks.py     labels: read once, checked against classes and against a model
    held_out.py         which images a split has, drawn by hashing
    split_images.py     the images of one split: decoded once, or in each epoch
    decoding.py         one image: decoding, resizing, shift and flip
    orientation.py      photos: how a camera was held, and turning by it
    augmentation.py     what a recipe adds: crops, colours, erasing, mixing
    rand_augment.py     RandAugment, operation by operation
    draw_seeds.py       the seed of each kind of random draw
    pipelines.py        seeded orders, parts of batches, and options of every pipeline
"""
