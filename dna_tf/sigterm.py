"""SIGTERM in a training: caught, so that a checkpoint comes before the end."""

import signal
import sys
import threading


class Sigterm:
    """Catches SIGTERM while it is entered, in the main thread; then ends the program.

    Args:
        says: whether it says so.

    Attributes:
        received: whether there was a SIGTERM.
    """

    def __init__(self, says):
        self.received = False
        self._says = says
        self._catches = threading.current_thread() is threading.main_thread()
        self._usual = signal.SIG_DFL

    def __enter__(self):
        if self._catches:
            self._usual = signal.signal(signal.SIGTERM, self._catch)
        return self

    def __exit__(self, kind, error, trace):
        if self._catches:
            # It is None if it was not Python that set it.
            usual = signal.SIG_DFL if self._usual is None else self._usual
            signal.signal(signal.SIGTERM, usual)
        if self.received and error is None:
            if self._says:
                text = "Stopped by SIGTERM after a checkpoint; the same command goes on."
                print(text, file=sys.stderr, flush=True)
            raise SystemExit(128 + signal.SIGTERM)

    def _catch(self, *_):
        self.received = True
