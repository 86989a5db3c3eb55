"""How well ratings rank networks: the paper's small space, one machine with one GPU.

What: four ops, one cell in each block (space dna_four_ops_single, 19 layers; the authors' own of 18
is dna_18), B7 as teacher. 16 students are trained alone: 15
searched ones from 270M to 480M MACs and a control. Their accuracies are compared with their
ratings, as in Figure 4 of the paper. The paper draws its 16 at random. The searched ones are the
best-rated at each cost, so cost alone ranks them well: first compare the control with the student
of its own cost.

Command:
    python -m tools.quickstart --config=configs/ranking.py --workdir=runs/ranking

The same with one GPU for each student, after the search:
    python -m tools.retrain --workdir=runs/ranking --arch=max_macs_270M

Figure 4 itself: 16 networks drawn uniformly from the authors' space, whatever their ratings:
    python -m tools.rank --config=configs/ranking.py --workdir=runs/figure4 \
        --config.space=dna_18 --fix=6:k3e6

Hardware and cost: one GPU; by estimate 24 GiB are enough. Counted: 6.89 GMACs for each image (5.17
the teacher, 1.72 the cells), 24.6 million images, 1.7e17 MACs. Rating, counted: 49 GMACs for each
image, 6.5e13 MACs.
Estimated: supernet 2 days at 150 images per second; each student 43 hours at 400 images per second.
Not run here. Published: 1 day on 8 GeForce 2080 Ti for a supernet of 6 cells.
Result, published: a figure without a number (Figure 4), in which DNA's ratings follow the
accuracies and those of a one-shot network of the whole space do not.
"""

# In a checkout this folder is beside dna_tf; in an installation it is inside.
try:
    from dna_tf.configs import paper_8gpu
except ModuleNotFoundError:
    from configs import paper_8gpu


def get_config():
    """Returns the config."""
    config = paper_8gpu.get_config()
    config.space = "dna_four_ops_single"
    paper_8gpu.set_batch_size(config, 128)
    config.search.budgets = tuple(f"max_macs={macs}M" for macs in range(270, 481, 15))
    config.search.chosen = 7
    # Shorter than the paper's, with a batch for one GPU, because 16 networks are only compared
    # with one another. The stairs of the schedule shrink in proportion.
    config.retrain.update(epochs=50, batch_size=128, accumulate=1, decay_epochs=0.24)
    return config
