"""What commands show on terminals while they work."""

import os
import pty
import subprocess
import sys

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
