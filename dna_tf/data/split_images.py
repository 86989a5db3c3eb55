"""The images of one split: decoded once and kept, or decoded each time, with the same pixels."""

import copy

import numpy as np
import tensorflow as tf

from dna_tf.common import progress
from dna_tf.data import decoding, pipelines, source_base

# From this number of images on, decoding shows a progress bar.
LONG_DECODING = 10_000
# Images that TensorFlow hands over at once. One by one, handing over a small image takes longer
# than decoding it.
_AT_ONCE, _BYTES_AT_ONCE = 256, 2**24


class SplitImages:
    """The images `indices` of a source, with the label of each.

    Args:
        name: of the split, for the progress bar.
        source: a `source_base.Source`.
        indices: int64 array `(count,)`, numbers of the images in the source.
        labels: int array `(count,)`, a label for each.
        settings: a `data_settings.DataSettings`.
        in_memory: whether decoded images are kept.
    """

    def __init__(self, name, source, indices, labels, settings, in_memory):
        self.source, self.indices, self.labels = source, indices, labels.astype(np.int32)
        self._name, self._in_memory = name, in_memory
        self._shape = (settings.image_size, settings.image_size, settings.channels)
        self._crop_fraction, self._buffer = settings.crop_fraction, settings.shuffle_buffer
        self._interpolation = settings.interpolation
        self._memory, self._as_before = None, False

    def decoded(self, finish, order_seed=None, skip=0, every=1, part=slice(0, 1), box_of=None):
        """Returns the images of the split, or a part of them, as a dataset.

        Args:
            finish: `finish(position, image)`, graph function from the position of an image in
                the split and its uint8 pixels to the elements of the dataset.
            order_seed: two ints from `seed_pair` that shuffle the images; `None` keeps their
                order.
            skip: leaves out that many images at the start.
            every, part: keeps of each run of `every` images those of the slice `part`.
            box_of: `box_of(position, shape)`, the rectangle of a random-resized crop, for
                which the image is decoded again; `None` takes the whole image.
        """
        order = np.arange(len(self.indices))
        if order_seed is not None:
            order = pipelines.permutation(len(order), order_seed)
        order = order[skip:]
        order = order[pipelines.in_part(np.arange(len(order)), every, part)]
        if self._in_memory and box_of is None:
            pixels = self._memorised()
            dataset = tf.data.Dataset.from_tensor_slices(order)

            def function(position):
                return finish(position, pixels[position])

        else:
            positions = np.full(self.indices.max(initial=-1) + 1, -1)
            positions[self.indices] = np.arange(len(self.indices))
            positions = source_base.on_cpu(positions)
            if self.source.random_access:
                dataset = self.source.records(self.indices[order])
            else:
                dataset = self.source.records(self.indices)
                if order_seed is not None:
                    dataset = pipelines.shuffled(dataset, self._buffer, order_seed)
                dataset = dataset.skip(skip)
                if part.stop - part.start < every:
                    dataset = pipelines.parts_of(dataset, every, part)

            def function(index, raw):
                position = positions[index]
                if box_of is None:
                    return finish(position, self._fit(raw))
                return finish(position, self._cropped(raw, lambda shape: box_of(position, shape)))

        return dataset.map(
            function, num_parallel_calls=pipelines.parallel_calls(), deterministic=True
        )

    def pixels(self, positions=None):
        """Images of the split: np.uint8 `(count, height, width, channels)`.

        Args:
            positions: positions in the split of the images to return, in this order and each
                once; no others are decoded. By default all.

        Raises:
            ValueError: an image cannot be decoded; it is named.
        """
        if positions is None:
            return self._memorised().numpy() if self._in_memory else self._streamed(self.indices)
        if self._memory is not None:
            return self._memory.numpy()[positions]
        in_order = np.sort(positions)  # some sources are read from front to back
        pixels = self._streamed(self.indices[in_order])
        return pixels[np.searchsorted(in_order, positions)]

    def with_labels(self, labels):
        """Returns the same images with other labels, an int array `(count,)`."""
        part = copy.copy(self)
        part.labels = labels.astype(np.int32)
        return part

    def decode_as_before(self, as_before):
        """Chooses how image files are decoded; see `decoding.decode`."""
        if self._as_before != as_before:
            self._memory = None
        self._as_before = self.source.as_before = as_before

    def _fit(self, raw):
        size, _, channels = self._shape
        image = self.source.decode(raw)
        return decoding.fit(image, size, channels, self._crop_fraction, self._interpolation)

    def _cropped(self, raw, box_of):
        """Returns a random-resized crop of a raw image; of a JPEG only the crop is decoded."""
        contents = self.source.encoded(raw)
        if contents is None:
            image = self.source.decode(raw)
            image = decoding.crop(image, box_of(tf.shape(image)))
        else:
            image = decoding.decode_crop(contents, box_of, self.source.as_before)
        return decoding.resize_crop(image, self._shape[0], self._shape[2])

    def _memorised(self):
        """Returns the images as a tensor; the first call decodes them."""
        if self._memory is None:
            self._memory = source_base.on_cpu(self._streamed(self.indices))
        return self._memory

    def _streamed(self, indices):
        count = len(indices)
        pixels = np.empty((count, *self._shape), np.uint8)
        dataset = self.source.records(indices).map(
            lambda index, raw: self._fit(raw),
            num_parallel_calls=pipelines.parallel_calls(),
            deterministic=True,
        )
        at_once = max(1, min(_AT_ONCE, _BYTES_AT_ONCE // int(np.prod(self._shape))))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(count)).batch(at_once)
        position, is_long = 0, count >= LONG_DECODING
        with (
            source_base.naming_broken_images(self.source),
            progress.bar(f"decoding {self._name}", count, "image", hidden=not is_long) as bar,
        ):
            for images in pipelines.finished(dataset).as_numpy_iterator():
                pixels[position : position + len(images)] = images
                position += len(images)
                bar.update(len(images))
        return pixels
