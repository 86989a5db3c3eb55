"""CIFAR-100 at 32x32 with a teacher that is trained here.

What: cifar10.py with a hundred classes: the teacher residual_cnn_wide, the space small_images,
three budgets and a control, three seeds each. To train students on the teacher's answers too:
--config.retrain.distill_weight=0.5 --config.retrain.distill_temperature=2.0

Command (TFDS downloads the images, 161 MiB):
    python -m tools.quickstart --config=configs/cifar100.py --workdir=runs/cifar100
With the teacher's answers as half of the loss:
    python -m tools.quickstart --config=configs/cifar100.py --workdir=runs/cifar100_distilled \
        --config.retrain.distill_weight=0.5 --config.retrain.distill_temperature=2.0

Hardware and cost: as cifar10.py, whose images and networks have the same size. Counted: 0.65 GMACs
for each image and step for the teacher, 1.04 for the supernet, 43M to 132M MACs for students.
Not run here.
Result: no published number for students of this size trained on CIFAR-100 alone. Published, for
DNA-c trained on ImageNet and fine-tuned on CIFAR-100: 88.3 % (see transfer.py).
"""

# In a checkout this folder is beside dna_tf; in an installation it is inside.
try:
    from dna_tf.configs import cifar10
except ModuleNotFoundError:
    from configs import cifar10


def get_config():
    """Returns the config."""
    config = cifar10.get_config()
    config.data.source = "tfds:cifar100"
    config.data.rating_per_class = 10  # of 500 images a class
    return config
