"""What a network is for: the size of its images and the number of its classes."""

import dataclasses

from dna_tf.common import checks

# Larger numbers are mistakes.
_MOST = {"image_size": 2**14, "channels": 2**12, "num_classes": 2**24}


@dataclasses.dataclass(frozen=True)
class Task:
    """The images that a network reads and the classes that it tells apart.

    Example:

        >>> import dna_tf
        >>> dna_tf.Task(image_size=32, channels=3, num_classes=10)
        Task(image_size=32, channels=3, num_classes=10)

    Args:
        image_size: height and width of the images in pixels.
        channels: channels of the images.
        num_classes: outputs of the classifier.

    Raises:
        ValueError: a number is not a whole number above 0.
    """

    image_size: int = 224
    channels: int = 3
    num_classes: int = 1000

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(
                    f"{name} must be a whole number above 0. Received: {checks.short_repr(value)}"
                )
            checks.check_whole(name, value, 1, _MOST[name])

    @classmethod
    def from_image_shape(cls, image_shape: tuple[int, int, int], num_classes: int) -> "Task":
        """The task of square images of `(height, width, channels)`."""
        height, _, channels = image_shape
        return cls(height, channels, num_classes)

    def __str__(self):
        return f"{self.image_size} px with {self.channels} channels and {self.num_classes} classes"
