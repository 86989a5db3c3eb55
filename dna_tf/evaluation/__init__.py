"""The accuracy of any model file or Keras model on any labelled images.

Read in this order:

    measuring.py          evaluates a model: accuracy, interval, counts by class, warnings
    evaluation_images.py  the images: one split of a data set, or a source as a whole
    model_checks.py       checks that a model and images belong together
    confusion.py          counts answers: top-1, top-5, by class, confusion matrix
    page.py               the HTML page of a result
"""
