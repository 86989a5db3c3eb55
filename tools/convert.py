"""Converts weights from another framework into a Keras student.

    python -m tools.convert --arch=dna_a --weights=dna_a.npz --output=dna_a.keras
    python -m tools.convert --arch=dna_d --weights=w.safetensors --image_size=240 --output=d.keras

--weights is a .npz or .safetensors file with arrays under the other framework's names; pickles
are not read. --scheme names the conventions of the weights:

  timm      the DNA authors' models and timm's EfficientNets in PyTorch: symmetric padding, batch
            norm with epsilon 1e-5, images normalised with ImageNet's mean and deviation
  timm_tf   timm's tf_efficientnet models

All of this becomes part of the .keras file, which takes images in 0..255 like every model here.
If weights are missing, unexpected or of another shape, they are listed and nothing is written.

Writes: the file --output.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string(
    "arch", "", "Published network, architecture in --workdir, or architecture file."
)
flags.DEFINE_string("weights", "", "File with the weights: .npz or .safetensors.")
flags.DEFINE_string("output", "", "The .keras file to write.")
flags.DEFINE_string("scheme", "timm", "Conventions of the weights: timm or timm_tf.")
flags.DEFINE_integer("num_classes", None, "Number of classes. Default: the architecture's.")
flags.DEFINE_integer(
    "image_size", None, "Height and width of images in pixels. Default: the architecture's."
)


def main():
    """Converts one file."""
    from dna_tf import workdirs
    from dna_tf.common import files
    from dna_tf.space import zoo

    flag = cli.FLAGS
    for name, example in (("arch", "dna_a"), ("weights", "w.npz"), ("output", "dna_a.keras")):
        if not getattr(flag, name):
            raise ValueError(
                f"--{name} is missing (for example --{name}={example}). Give all of --arch, "
                "--weights and --output."
            )
    output = files.as_path(flag.output)
    if output.suffix != ".keras":
        raise ValueError(f"--output must be a .keras file. Received: {output}")
    if output.exists():
        raise ValueError(f"The file {output} exists already. Delete it, or give another --output.")
    run_folder = workdirs.Workdir(flag.workdir) if flag.workdir else None
    arch = zoo.find(flag.arch, run_folder and run_folder.architectures)
    arch = arch.adapted(flag.num_classes, flag.image_size)
    from dna_tf.models import foreign_weights, keras_files, model_costs, weight_files

    scheme = foreign_weights.get_scheme(flag.scheme)
    model = foreign_weights.convert(arch, weight_files.read(flag.weights), scheme)
    keras_files.save_model(model, output)
    trainable = model_costs.count_params(model)
    print(f"{arch.name}: {len(model.variables)} arrays, {trainable:,} trainable parameters")
    size = arch.image_size
    cli.next_command(
        "evaluate",
        None,
        f"--model={output}",
        "--data=folder:DIR",
        f"--image_size={size}",
        f"--resize={round(size / 0.875)}",
        "--interpolation=bicubic",
    )


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
