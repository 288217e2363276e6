"""A stand-in for TensorFlow writes to descriptor 2 while it is imported, as TensorFlow's libraries do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
INFORMATION = "I0000 00:00:1795945426.638236   17154 port.cc:153] oneDNN custom operations are on.\n"
ERROR = "E0000 00:00:1795945426.638815   17154 cuda_platform.cc:52] failed call to cuInit\n"
FATAL = "F0000 00:00:1795945426.638815   17154 cpu.cc:52] compiled to use AVX instructions\n"
OTHER = "libfoo.so: version mismatch\n"
PREPARE = "from deblur_zoo.files import tensorflow_import; tensorflow_import.prepare(); "


@pytest.fixture
def start(tmp_path):
    """A function of what the stand-in does on import and a level to what a process that imports it leaves."""

    def run(on_import, level=None, code=PREPARE + "import tensorflow; print(tensorflow.__spec__.name)"):
        (tmp_path / "tensorflow.py").write_text("import os, sys\n" + on_import)
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        environment |= {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
        if level is not None:
            environment["TF_CPP_MIN_LOG_LEVEL"] = level
        return subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)

    return run


def writes(*lines):
    return f"os.write(2, {''.join(lines).encode()!r})\n"


@pytest.mark.parametrize(
    "level, left_out",
    [
        (None, [START, INFORMATION, ERROR]),
        ("3", [START, INFORMATION, ERROR]),
        ("1", [START, INFORMATION]),
        ("0", []),
        ("loud", []),
    ],
)
def test_only_what_the_level_leaves_out_is_held_back(start, level, left_out):
    lines = [START, INFORMATION, ERROR, FATAL, OTHER]
    done = start(writes(*lines), level)
    assert done.stderr == "".join(line for line in lines if line not in left_out)
    assert (done.returncode, done.stdout) == (0, "tensorflow\n")


def test_everything_is_said_if_the_import_fails(start):
    done = start(writes(START, INFORMATION) + "raise ImportError('no such library')")
    assert done.stderr.startswith(START + INFORMATION + "Traceback")
    assert "in <module>" in done.stderr and done.stderr.endswith("ImportError: no such library\n")
    assert done.returncode == 1


def test_a_crash_leaves_a_traceback(start):
    done = start("os.abort()")
    assert done.returncode < 0
    assert "Fatal Python error: Aborted" in done.stderr and "tensorflow.py" in done.stderr


def test_what_python_writes_meanwhile_is_kept(start):
    on_import = "import logging, warnings\nlogging.warning('ours')\nwarnings.warn('theirs')\n" + writes(INFORMATION)
    done = start(on_import)
    assert done.stderr.startswith("WARNING:root:ours\n") and "UserWarning: theirs" in done.stderr
    assert INFORMATION not in done.stderr


def test_afterwards_standard_error_is_as_before(start):
    code = PREPARE + (
        "import os, sys, faulthandler; count = len(os.listdir('/proc/self/fd')); import tensorflow; "
        "os.write(2, b'I0000 00:00:17959.6 1 a.cc:1] later\\n'); print('Python', file=sys.stderr); "
        "print(len(os.listdir('/proc/self/fd')) - count, faulthandler.is_enabled())"
    )
    done = start(writes(INFORMATION), code=code)
    assert done.stderr == "I0000 00:00:17959.6 1 a.cc:1] later\nPython\n" and done.stdout == "0 False\n"


@pytest.mark.parametrize("level", [None, "0"])
def test_garbage_is_collected_after_the_import_only(start, level):
    on_import = "import gc; print(gc.isenabled())\nsome = [[]]\n"
    code = PREPARE + (
        "import gc, tensorflow; print(gc.isenabled(), any(found is tensorflow.some for found in gc.get_objects()))"
    )
    assert start(on_import, level, code).stdout == "False\nTrue False\n"


def test_nothing_is_collected_at_the_exit(start):
    # Handlers run in reverse order: this one after those of the import.
    code = "import atexit, gc; atexit.register(lambda: print(any(found is later for found in gc.get_objects()))); "
    assert start("", code=code + PREPARE + "import tensorflow; later = [[]]").stdout == "False\n"


def test_preparing_imports_nothing_and_may_be_repeated(start):
    code = PREPARE * 2 + "import sys; print('tensorflow' in sys.modules); import tensorflow"
    done = start(writes(INFORMATION), code=code)
    assert done.stdout == "False\n" and done.stderr == ""


def test_without_standard_error_or_tensorflow(start):
    done = start(writes(), code=PREPARE + "import os; os.close(2); import tensorflow; print('imported')")
    assert (done.returncode, done.stdout) == (0, "imported\n")
    done = start("", code=f"{PREPARE}\nimport sys; sys.path[:] = []\nimport tensorflow")
    assert "ModuleNotFoundError: No module named 'tensorflow'" in done.stderr
