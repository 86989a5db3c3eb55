"""DNA for TensorFlow and Keras: block-wise neural architecture search by distillation.

    import dna_tf

    architecture = dna_tf.load_architecture("runs/digits/architectures/max_macs_1.5M.json")
    model = dna_tf.build_model(architecture)  # a Keras functional model, fresh weights
    model = dna_tf.build_model("dna_a", num_classes=10)  # a published network

Names are loaded when first used: what handles tables only never imports TensorFlow.
"""

__version__ = "0.1.0"


def load_architecture(name_or_file):
    """Loads an architecture from its file, or a published one by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be used, or nothing has that name.
    """
    from dna_tf.space import zoo

    return zoo.find(str(name_or_file))


def build_model(
    architecture,
    num_classes=None,
    image_size=None,
    channels=None,
    dropout=0.0,
    drop_connect=0.0,
    seed=0,
):
    """Builds the Keras functional model of an architecture, with fresh weights.

    Args:
        architecture: an `architectures.Architecture`, its file, or a published name.
        num_classes: outputs of the classifier; `None` keeps the architecture's.
        image_size: height and width in pixels of the images; `None` likewise.
        channels: channels of the images; `None` likewise.
        dropout: rate before the classifier, in [0, 1).
        drop_connect: highest rate of dropping a residual's branch, in [0, 1).
        seed: seeds the weights.

    Returns:
        A `keras.Model` from images in 0..255 `(batch, height, width, channels)` to logits
        `(batch, num_classes)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be used, nothing has that name, or a number is out of
            range.
    """
    from dna_tf.space import architectures

    if not isinstance(architecture, architectures.Architecture):
        architecture = load_architecture(architecture)
    architecture = architecture.adapted(num_classes, image_size, channels)
    from dna_tf.models import students  # after the checks, which need no TensorFlow

    return students.build_student(architecture, dropout, drop_connect, seed)


def __getattr__(name):
    if name == "recipes":  # `from dna_tf import config, recipes` in config files of users
        from dna_tf.config import recipes

        return recipes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
