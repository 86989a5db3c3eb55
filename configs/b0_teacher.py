"""EfficientNet-B0 as teacher: the paper's ablation of the teacher (Table 5).

What: paper_8gpu.py with B0 instead of B7 and one budget, B0's own size. The cells keep their
widths, which are those of this teacher's blocks.

Command:
    python -m tools.train_teacher --config=configs/b0_teacher.py --workdir=runs/b0
    python -m tools.train_supernet --workdir=runs/b0 --strategy=mirrored
    python -m tools.rate --workdir=runs/b0
    python -m tools.search --workdir=runs/b0
    python -m tools.retrain --workdir=runs/b0

Hardware and cost: 8 GPUs, or fewer with a smaller batch. Counted: 3.30 GMACs for each image (0.39
for the teacher, 2.91 for the cells), a third of B7's; 24.6 million images, 8.1e16 MACs. Rating,
counted: 452 GMACs for each image, 6.1e14 MACs. Estimated: 5 hours for the supernet at 170 images
per second on each GPU; retraining as in paper_8gpu.py. Not run here.
Result, published: DNA-B0 77.8 % top-1 at 5.27M parameters, the same as with B7 as teacher
(77.8 %, 5.28M); the teacher itself 76.3 %.
"""

# In a checkout this folder is beside dna_tf; in an installation it is inside.
try:
    from dna_tf.configs import paper_8gpu
except ModuleNotFoundError:
    from configs import paper_8gpu


def get_config():
    """Returns the config."""
    config = paper_8gpu.get_config()
    config.teacher.model = "efficientnet_b0"
    config.search.budgets = ("max_params=5.3M",)
    config.search.chosen = 0
    return config
