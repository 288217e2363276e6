import os
import signal
import subprocess
import sys

import pytest

from trainers.runs.errors import FolderInUse
from trainers.runs.folder_lock import only_trainer

HOLD = """
import sys, time
from trainers.runs.folder_lock import only_trainer
with only_trainer(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_trainer_is_refused_until_the_first_has_ended_or_was_killed(tmp_path):
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True, env=path) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match=f"another trainer .*{tmp_path}"):
            with only_trainer(tmp_path):
                pass
        # Nothing of the first process runs after this.
        first.send_signal(signal.SIGKILL)
    with only_trainer(tmp_path):
        pass
    with only_trainer(tmp_path):
        pass


def test_an_error_inside_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), only_trainer(tmp_path):
        raise ZeroDivisionError
    with only_trainer(tmp_path):
        pass
