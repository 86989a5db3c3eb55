"""Which model teaches, and where it is cut into blocks.

Read in this order:

    application_names.py  the names of teachers, with a table of keras.applications
    applications.py       the models of keras.applications, from images in 0..255 to logits
    residual_cnn.py       small residual networks that are trained on the run's own images
    cut_points.py         the layers at which a model can be cut, and proposed cuts
    cutting.py            a model, cut at named layers into a sub-model per block
    parts.py              what a teacher's own blocks and its head cost
    building.py           cut_teacher: a model, a file or a name, built and cut
    input_range.py        warnings if a trained teacher gets images in another range
"""
