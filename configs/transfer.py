"""A student that was trained on ImageNet, fine-tuned on CIFAR-10, CIFAR-100 or one's own images.

What: DNA Table 3. The student's .keras file is given with retrain.start_from; its classifier is
replaced, all other weights train on. --arch names the architecture that the file has. Images of
any size are brought to 224x224. The epoch that does best on the rating images is taken.

Command:
    python -m tools.retrain --config=configs/transfer.py --workdir=runs/transfer --arch=dna_c \
        --config.retrain.start_from=runs/paper/students/dna_c/seed0/model.keras
CIFAR-100:
    python -m tools.retrain --config=configs/transfer.py --workdir=runs/transfer100 --arch=dna_c \
        --config.retrain.start_from=runs/paper/students/dna_c/seed0/model.keras \
        --config.data.source=tfds:cifar100 --config.data.rating_per_class=10
A folder with one folder of images for each class, a tenth of them to rate:
    python -m tools.retrain --config=configs/transfer.py --workdir=runs/mine --arch=dna_c \
        --config.retrain.start_from=runs/paper/students/dna_c/seed0/model.keras \
        --config.data.source=folder:my_images --config.data.rating_fraction=0.1

Hardware and cost: one GPU. Counted for dna_c: 1.35 GMACs an image and step (three times its 450M),
5 million images; estimated 4 hours at 400 images a second. On less memory:
--config.retrain.accumulate=4.
Result, published (DNA Table 3): DNA-c 98.3 % on CIFAR-10, 88.3 % on CIFAR-100. Not run here: there
was no student trained on ImageNet.
"""

# A checkout has this folder beside dna_tf, an installation has it inside.
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
