"""A process that is killed while it writes a file; loads no TensorFlow."""

import subprocess
import sys


def write_half_and_die(path):
    """A process that begins to write a file and dies before the file has its name."""
    program = (
        "import os, sys\n"
        "from dna_tf.common import files\n"
        "with files.replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == 9
