"""Programs without a reader: output that nobody reads any more, and streams that are closed."""

import os
import select
import signal
import sys


def open_missing():
    """Opens the standard streams that the program was started without, as with `>&-`.

    They lead nowhere then. Without this a file that is opened next would be the standard output
    of everything that writes to it, such as TensorFlow, and Python has no stream to print to.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # closed; the lowest free number is taken
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))


def is_reader_gone(error):
    """Whether an error says that the reader of this program's output has gone."""
    if not isinstance(error, BrokenPipeError):
        return False  # pipes to other programs break with the same error
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def end_quietly():
    """Ends the program without a word, with the status of one that SIGPIPE ended."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(null, stream.fileno())  # Python flushes once more at its end
    sys.exit(128 + signal.SIGPIPE)
