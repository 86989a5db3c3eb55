"""The paper's search on a TPU slice: larger batches, cells computed in bfloat16.

What: paper_8gpu.py with a batch of 1024 and learning rates times the square root of 2 (the rule
of its set_batch_size). Shapes are static: images have one size, and the images after the last
whole batch of an epoch are dropped. Weights, loss and optimizer stay in float32, and so does the
teacher. Data and workdir belong in a bucket (gs://...).

Command, on the TPU's own machine:
    python -m tools.train_teacher --config=configs/paper_tpu.py --workdir=gs://BUCKET/paper \
        --config.data.tfds_data_dir=gs://BUCKET/tfds
    python -m tools.train_supernet --workdir=gs://BUCKET/paper --strategy=tpu --tpu=local
    python -m tools.rate --workdir=gs://BUCKET/paper
    python -m tools.search --workdir=gs://BUCKET/paper
    python -m tools.retrain --workdir=gs://BUCKET/paper --arch=max_params_5.3M \
        --strategy=tpu --tpu=local

Ratings run on the CPU of the TPU machine; GPUs would be faster. The training of students was tried
on several CPUs as replicas, never on a TPU.

Hardware and cost: a slice of 8 or more cores; the batch must be a multiple of their number
(for another batch: --config.supernet.batch_size, with both learning rates). Counted: 9.67 GMACs
for each image as on GPUs, and one more forward pass of the cells (1.50), which are run again in
the backward pass: 11.2 GMACs, 24.6 million images, 2.8e17 MACs. Estimated: 7 hours at 1000 images
per second. Not run here: a TPU was not available.
Result, published (for the paper's batch): as paper_8gpu.py.
"""

# In a checkout this folder is beside dna_tf; in an installation it is inside.
try:
    from dna_tf.configs import paper_8gpu
except ModuleNotFoundError:
    from configs import paper_8gpu

BATCH_SIZE = 1024


def get_config():
    """Returns the config."""
    config = paper_8gpu.get_config()
    paper_8gpu.set_batch_size(config, BATCH_SIZE)
    config.supernet.precision = "mixed_bfloat16"
    return config
