"""Trains any Keras model in several widths that share their kernels, and writes each as a file.

    python -m tools.slim --model=my.keras --data=folder:images --widths=0.25,0.5,0.75 \\
        --output=slim
    python -m tools.slim --model=my.keras --data=folder:images --widths=0.5 --output=half \\
        --config.retrain.epochs=5 --keep_whole

A narrow model has the first channels of each layer of the whole one. Each step shows one batch to
all widths: the whole model learns the labels, narrow ones its answers (in-place distillation).
Kernels are shared, and each width has batch norms of its own. With --keep_whole the model stays as
it is, and only these batch norms learn: narrow widths then stay far below the others.

Each width becomes a stock .keras file, which any Keras loads, and which tools.compress,
tools.quantize and tools.export_tflite take. A model with attention, layer norm, channel shuffle or
layers of your own is refused, and the layer is named.

The training is that of config.retrain (epochs, batch_size, learning_rate, ...). A killed training
resumes; finished widths are kept.

Writes: OUTPUT/width_025.keras, ..., width_100.keras, and result.json.
"""

from absl import flags

from dna_tf import cli
from dna_tf.common import files

cli.define_run_flags()
cli.define_model_flags("slim")
flags.DEFINE_list("widths", ["0.25", "0.5", "0.75"], "Shares of the channels, ascending.")
flags.DEFINE_bool("keep_whole", False, "Leave the whole model as it is.")


def main():
    """Slims a model."""
    flag = cli.FLAGS
    if not flag.model:
        raise ValueError("Give a trained model: --model=my.keras.")
    path = cli.check_model_flags()
    try:
        widths = tuple(float(text) for text in flag.widths)
    except ValueError as error:
        raise ValueError(f"--widths are numbers, such as 0.5,0.75. Received: {error}") from error
    workdir, config = cli.open_for_model(flag.workdir, "retrain")
    from dna_tf.phases import slimmed_models  # loads TensorFlow

    folder = files.as_path(flag.output)
    result = slimmed_models.slim_file(
        path, config, folder, widths, flag.keep_whole, workdir, flag.data, flag.image_size
    )
    narrowest = folder / result["widths"][0]["file"]
    words = [] if workdir else [f"--data={flag.data or config.data.source}"]
    cli.next_command("evaluate", workdir, f"--model={narrowest}", *words)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
