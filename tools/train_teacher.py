"""Trains the teacher of a run, or takes a trained one; checks it and cuts it into blocks.

    python -m tools.train_teacher --config=configs/digits.py --workdir=runs/digits
    python -m tools.train_teacher --config=C --workdir=W --strategy=mirrored

Reads:  the config's data; the .keras file of config.teacher.model, if that is a file.
Writes: WORKDIR/config.json, teacher/model.keras, teacher/result.json, teacher/history.json.
A killed run resumes; a finished teacher is kept.
"""

from dna_tf import cli

cli.define_run_flags()
cli.define_strategy_flags()


def main():
    """Trains the teacher."""
    workdir, config = cli.open_run(may_create=True)
    strategy = cli.make_strategy()
    from dna_tf.phases import teacher_training

    teacher_training.train_teacher(workdir, config, strategy)
    cli.next_command("train_supernet", workdir)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
