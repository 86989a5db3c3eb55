"""A student trained on ImageNet, fine-tuned on CIFAR-10, CIFAR-100 or your own images.

What: DNA Table 3. retrain.start_from is the student's .keras file; its classifier is replaced, and
all other weights continue to train. --arch names the architecture in the file. Images of any size
are resized to 224x224. The epoch with the best accuracy on the rating images is taken.

Command:
    python -m tools.retrain --config=configs/transfer.py --workdir=runs/transfer --arch=dna_c \
        --config.retrain.start_from=runs/paper/students/dna_c/seed0/model.keras
CIFAR-100:
    python -m tools.retrain --config=configs/transfer.py --workdir=runs/transfer100 --arch=dna_c \
        --config.retrain.start_from=runs/paper/students/dna_c/seed0/model.keras \
        --config.data.source=tfds:cifar100 --config.data.rating_per_class=10
A folder with one folder of images for each class, a tenth of them for rating:
    python -m tools.retrain --config=configs/transfer.py --workdir=runs/mine --arch=dna_c \
        --config.retrain.start_from=runs/paper/students/dna_c/seed0/model.keras \
        --config.data.source=folder:my_images --config.data.rating_fraction=0.1

Hardware and cost: one GPU. Counted for dna_c: 1.35 GMACs for each image and step (three times its
450M), 5 million images; estimated 4 hours at 400 images per second. With less memory:
--config.retrain.accumulate=4.
Result, published (DNA Table 3): DNA-c 98.3 % on CIFAR-10, 88.3 % on CIFAR-100. Not run here: a
student trained on ImageNet was not available.
"""

# In a checkout this folder is beside dna_tf; in an installation it is inside.
try:
    from dna_tf.configs import paper_8gpu
except ModuleNotFoundError:
    from configs import paper_8gpu

from dna_tf import recipes


def get_config():
    """Returns the config."""
    config = paper_8gpu.get_config()
    config.data.source = "tfds:cifar10"
    config.data.rating_per_class = 100
    recipes.transfer(config)
    config.retrain.accumulate = 1
    config.retrain.seeds = 1
    return config
