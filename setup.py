"""Packaging of dna_tf: what is installed, what it needs, and its commands."""

import setuptools

# Ranges around the versions that were installed and tested together; the upper
# bounds are the next minor release of what changes under us (TensorFlow, Keras and
# what reaches into them) and the next major release of the rest.
# tensorflow-model-optimization 0.8 holds absl-py below 2.
REQUIREMENTS = [
    "absl-py>=1.4,<2",
    "ai-edge-litert>=2.3,<3",
    "etils[epath]>=1.15,<2",
    "flatbuffers>=25.9,<26",
    "keras>=3.15,<3.16",
    "keras-cv>=0.9,<0.10",
    "ml_collections>=1.1,<2",
    "numpy>=2.4,<3",
    "plotly>=7.1,<8",
    "protobuf>=7.36,<8",
    "importlib_resources>=6,<8",  # tensorflow-datasets needs it on 3.11 and does not say so
    "scikit-learn>=1.9,<2",
    "tensorflow>=2.21,<2.22",
    "tensorflow-datasets>=4.9.10,<5",
    "tensorflow-model-optimization>=0.8.1,<0.9",
    "tf_keras>=2.21,<2.22",
    "tqdm>=4.70,<5",
]

TEST_REQUIREMENTS = [
    "hypothesis>=6.170,<7",
    "pillow>=10",
    "pytest>=9.2,<10",
    "pytest-xdist>=3.8,<4",
    "ruff>=0.17,<0.18",
    "scipy>=1.15,<2",
    "setuptools>=65",
    "tensorboard>=2.21,<3",
]

# Command -> module of tools/, whose `run()` it calls.
COMMANDS = {
    "dna-train-teacher": "train_teacher",
    "dna-train-supernet": "train_supernet",
    "dna-rate": "rate",
    "dna-search": "search",
    "dna-rank": "rank",
    "dna-progress": "progress",
    "dna-matrix": "matrix",
    "dna-angle": "angle",
    "dna-train-whole": "train_whole",
    "dna-search-whole": "search_whole",
    "dna-compare-searches": "compare_searches",
    "dna-latency-table": "latency_table",
    "dna-scale": "scale",
    "dna-retrain": "retrain",
    "dna-evaluate": "evaluate",
    "dna-convert": "convert",
    "dna-tables": "tables",
    "dna-export-tflite": "export_tflite",
    "dna-quantization-report": "quantization_report",
    "dna-quantize": "quantize",
    "dna-prune": "prune",
    "dna-slim": "slim",
    "dna-compress": "compress",
    "dna-additivity": "additivity",
    "dna-summary": "summary",
    "dna-space": "space",
    "dna-teacher": "teacher",
    "dna-report": "report",
    "dna-quickstart": "quickstart",
}

# `tools` and `configs` lie beside `dna_tf` in a checkout, and are installed inside
# it: top-level packages of such common names would get in other projects' way.
ROOMS = """
    common space truth search config data models teachers training features supernet evaluation
    slimming export inheritance compression latency report phases
""".split()
PACKAGES = {
    "dna_tf": "dna_tf",
    **{f"dna_tf.{room}": f"dna_tf/{room}" for room in ROOMS},
    "dna_tf.configs": "configs",
    "dna_tf.tools": "tools",
}

setuptools.setup(
    name="dna_tf",
    version="0.1.0",
    description="Block-wise supervised neural architecture search with knowledge distillation",
    license="Apache-2.0",
    license_files=["LICENSE"],
    # CI runs on 3.11 alone; on 3.12 it was installed and its tests were run once, by hand.
    python_requires=">=3.11,<3.13",
    packages=sorted(PACKAGES),
    package_dir=PACKAGES,
    package_data={"dna_tf": ["py.typed"]},
    install_requires=REQUIREMENTS,
    extras_require={
        "test": TEST_REQUIREMENTS,
        "tensorboard": ["tensorboard>=2.21,<3"],  # to look; writing its files needs none
    },
    entry_points={
        "console_scripts": [
            f"{command} = dna_tf.tools.{module}:run" for command, module in COMMANDS.items()
        ]
    },
)
