"""From a Keras model to TFLite files that were run on test images and compared with the model.

Read in this order:

    exporter.py            exports a model: converts, writes, runs and compares each file
    prepare.py             the model to convert: at another size, without its rescaling
    split_kernels.py       large depthwise kernels as sums of small ones
    export_images.py       training images for ranges, test images for the comparison
    conversion.py          Keras to TFLite in every precision; names a layer that fails
    agreement.py           compares the scores of a file with those of the Keras model
    operators.py           the operators of a file, and those that accelerators refuse
    metadata.py            class names, TFLite's metadata and a description in the file
    other_formats.py       SavedModel and ONNX
    quantization_error.py  which layers hurt an int8 file
"""
