"""Keras models: students, copies, files, costs, preprocessing, and running any model file.

Read in this order:

    keras_settings.py   the settings of Keras that models are built and run with
    students.py         the Keras model of an architecture
    graph.py            the graph of a functional model as a list of nodes
    model_costs.py      parameters, MACs and receptive field of any Keras model
    peak_memory.py      the memory for maps that a model needs at one time
    copies.py           copies of models: renamed, flattened, resized, with other types of layers
    plain_models.py     models as users save them, in float32 and in one flat graph
    logits.py           logits of models that end in a softmax
    preprocessing.py    what a teacher does to images first, as layers of its graph
    keras_files.py      .keras files: loaded safely, saved atomically
    weight_files.py     weights of other frameworks: .npz and .safetensors files
    foreign_weights.py  makes students of such weights
    litert.py           runs a TFLite file, without TensorFlow
    inference.py        runs any model file: Keras, SavedModel, TFLite
"""
