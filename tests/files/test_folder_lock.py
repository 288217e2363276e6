import os
import signal
import subprocess
import sys

import pytest

from deblur_zoo.files.folder_lock import only_process

IN_USE = LookupError("in use")
HOLD = """
import sys, time
from deblur_zoo.files.folder_lock import only_process
with only_process(sys.argv[1], ValueError()):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_process_is_refused_until_the_first_has_ended_or_was_killed(tmp_path):
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True, env=path) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(LookupError, match="in use"):
            with only_process(tmp_path, IN_USE):
                pass
        # Nothing of the first process runs after this.
        first.send_signal(signal.SIGKILL)
    with only_process(tmp_path, IN_USE):
        pass
    with only_process(tmp_path, IN_USE):
        pass


def test_an_error_inside_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), only_process(tmp_path, IN_USE):
        raise ZeroDivisionError
    with only_process(tmp_path, IN_USE):
        pass
