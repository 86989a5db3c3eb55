"""The end of a program whose output nobody reads any more, such as that of `| head`."""

import os
import select
import signal
import sys


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
