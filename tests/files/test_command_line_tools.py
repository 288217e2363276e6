"""What commands share: checks of flags, and what they show on terminals while they work."""

import os
import pty
import subprocess
import sys
import types

import pytest

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError, require_folders, whole_numbers

SCRIPT = """
import sys, time
from deblur_zoo.files.command_line_tools import working
with working("loading [x]"):
    print("result", flush=True)
    time.sleep(0.3)
print("end", flush=True)
"""


def test_work_is_shown_on_a_terminal_and_what_is_printed_stays_in_its_pipe():
    terminal, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=end, env=environment)
    os.close(end)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:
        # How Linux says that the other end is closed.
        pass
    os.close(terminal)
    assert process.communicate()[0] == b"result\nend\n" and process.returncode == 0
    assert b"loading [x] ..." in shown and b"result" not in shown
    # The line is erased in the end.
    assert b"\x1b[2K" in shown.rpartition(b"loading [x] ...")[2]


def test_nothing_is_shown_in_a_pipe():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True)
    assert (done.stdout, done.stderr) == (b"result\nend\n", b"")


@pytest.fixture
def given(monkeypatch):
    """A function that sets the flags that the checks see."""

    def given(**values):
        found = {name: types.SimpleNamespace(value=value) for name, value in values.items()}
        monkeypatch.setattr(command_line_tools, "flags", types.SimpleNamespace(FLAGS=found))

    return given


def test_folders(given, tmp_path):
    given(faces=str(tmp_path), labels=None)
    require_folders("faces", "labels")
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "none"):
        given(faces=str(wrong))
        with pytest.raises(UsageError, match=f"--faces .*{wrong.name}"):
            require_folders("faces")


@pytest.mark.parametrize("values", [["1.5"], ["13", "-1"], ["13", ""], ["a"], ["²"], ["1_0"]])
def test_what_is_no_whole_number(given, values):
    given(kernels=values)
    with pytest.raises(UsageError, match="--kernels must be whole numbers"):
        whole_numbers("kernels")


def test_whole_numbers(given):
    given(kernels=["0", "13", "027"])
    assert whole_numbers("kernels") == [0, 13, 27]
