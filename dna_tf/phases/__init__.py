"""The phases of a run: each reads workdir and config, calls the rooms, and writes results.

Only this room knows workdirs, configs and commands. Read in the order of a run:

    runs.py               opens a run: its images and teacher, checked in one place
    teacher_view.py       what tools.teacher shows: where a model can be cut
    teacher_config.py     writes a config file for a teacher and its cut
    teacher_training.py   the teacher: trained or taken, checked and cut
    supernet_training.py  the cells learn to imitate the teacher's blocks
    rating.py             all paths of all cells
    search_inputs.py      what a search reads from a run, and what it writes
    searching.py          one architecture for each budget of the config
    rating_noise.py       which runner-ups cannot be told from the best
    search_question.py    one search for the limits of a command line
    whole.py              whole networks: trained on labels, searched by accuracy or angle
    angles.py             networks by how far training turned their weights, beside controls
    retraining.py         students, for several seeds
    drawn_networks.py     networks drawn before anything is rated
    network_scores.py     the rating of each of them, and of untrained cells
    weight_fitting.py     the weight of each block, fitted on these networks
    ranking.py            ratings beside the accuracies of random networks
    search_progress.py    ratings and searches while the cells train
    model_files.py        models from files of users, and the images that these take
    exporting.py          TFLite files, and which layers int8 hurts
    evaluating.py         any model on any images
    answered_images.py    images without labels: the answers of a model stand for them
    compressing.py        a trained model, compressed to a budget
    least_size.py         the smallest student within a drop of accuracy
    inheriting.py         the inherited student of a run, beside those from scratch
    additivity.py         how far the ratings of a run add up
    seed_agreement.py     how far ratings are the same with another supernet
    compression_start.py  what quantizing and pruning share
    quantizing.py         training with the rounding of an int8 file
    pruning.py            half of the weights become zero
    slimmed_models.py     any model in several widths
    latency_tables.py     a latency table, measured into its files
    latency_of_parts.py   tables for students that inherit, and their files beside the sums
    latency_commands.py   the command that measures what a table is missing
    reporting.py          feature maps for the report
    matrix.py             tables of experiments: several runs that differ in some fields
    pipeline.py           all phases in order
"""
