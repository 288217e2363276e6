"""Import TensorFlow without its start-up messages, and faster."""

import atexit
import faulthandler
import gc
import importlib.util
import os
import re
import sys
import tempfile
from contextlib import ExitStack, contextmanager

# The messages that the values 0 to 3 of TensorFlow's variable leave out: none; information; warnings; errors too.
_LEVELS = "IWE"
_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
_BEFORE_START = b"WARNING: All log messages before absl::InitializeLog()"


def prepare():
    """Make TensorFlow's later import quiet, also in processes that this one starts, and fast.

    ``TF_CPP_MIN_LOG_LEVEL`` says which messages are left out: all but fatal ones, unless the user has set it.
    TensorFlow obeys that only once it is loaded; what it writes before is held back at the file descriptor. Other lines
    are written as soon as the import has ended, and all of them if it fails. Collecting garbage would take a quarter of
    the import, so it waits until the end; and going through all objects a second of the interpreter's exit, so it is
    left out there.
    """
    level = os.environ.setdefault(_VARIABLE, "3")
    levels = _LEVELS[: int(level)] if level.isdecimal() else ""
    if "tensorflow" not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder(levels))


class _Finder:
    """Finds TensorFlow as Python would, and runs its code as `prepare` says. Used once."""

    def __init__(self, levels):
        self._levels = levels

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_prepared(module):
                with _without_collections(), _held_back(self._levels):
                    run(module)

            spec.loader.exec_module = run_prepared
        return spec


@contextmanager
def _without_collections():
    """Disable the garbage collector; it never examines what exists at the end, such as TensorFlow's modules."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.freeze)


@contextmanager
def _held_back(levels):
    """What is written to descriptor 2, without the lines of TensorFlow's log at these levels, follows at the end."""
    if not levels:
        yield
        return
    with ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
            stderr = stack.enter_context(os.fdopen(os.dup(2), "wb"))
        except OSError:
            # No standard error, or nowhere to hold anything.
            yield
            return
        if not faulthandler.is_enabled():
            # A crash in the midst of the import would take with it what is held: it leaves a traceback at least.
            faulthandler.enable(stderr)
            stack.callback(faulthandler.disable)
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(stderr.fileno(), 2)
            held.seek(0)
            stderr.writelines(line for line in held if failed or not _is_left_out(line, levels))


def _is_left_out(line, levels):
    if line.startswith(_BEFORE_START):
        return True
    return re.match(rb"[IWEF]\d{4} \d\d:\d\d:\d+\.\d+ ", line) is not None and chr(line[0]) in levels
