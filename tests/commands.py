"""Commands in processes of their own, without the seconds that starting Python and importing TensorFlow takes.

A server, one per process of tests and Keras backend, imports the libraries once and forks for each command. What a
command does while Python starts, such as what it imports or what TensorFlow prints, needs ``subprocess`` instead.
"""

import functools
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import types
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_python(*arguments, cwd=ROOT, env=None, timeout=300):
    """As ``subprocess.run([sys.executable, *arguments], capture_output=True, text=True)``.

    Args:
        arguments: "-m" and a module, or "-c" and a program, or a file; then its own arguments.
        cwd: folder to run in.
        env: the environment; default: that of the tests. The libraries have read what is for them, such as
            ``JAX_PLATFORMS``, from that of the tests.
        timeout: seconds after which the command is killed.
    """
    arguments = [str(argument) for argument in arguments]
    env = dict(os.environ if env is None else env)
    server = _server(env.get("KERAS_BACKEND", "tensorflow"))
    with tempfile.TemporaryDirectory() as folder:
        out, error = Path(folder, "out"), Path(folder, "error")
        files = {"out": str(out), "error": str(error)}
        request = {"arguments": arguments, "cwd": str(cwd), "env": env, "timeout": timeout, **files}
        print(json.dumps(request), file=server.stdin, flush=True)
        code = json.loads(server.stdout.readline())
        if code is None:
            raise subprocess.TimeoutExpired(arguments, timeout, out.read_bytes(), error.read_bytes())
        return subprocess.CompletedProcess(arguments, code, out.read_text(), error.read_text())


@functools.cache
def _server(backend):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "tests.commands"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def _serve():
    """Answer requests with exit codes, null after a timeout; returns in a forked process, with what it is to run."""
    from deblur_zoo.files import tensorflow_import

    tensorflow_import.prepare()
    import cv2  # noqa: F401
    import keras  # noqa: F401
    import PIL.Image  # noqa: F401
    import tensorflow  # noqa: F401

    # JAX warns of forks, which are safe as long as it has not computed anything.
    warnings.filterwarnings("ignore", r"os\.fork\(\) was called")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            return request
        print(json.dumps(_exit_code(child, request["timeout"])), flush=True)
    return None


def _exit_code(child, timeout):
    end = time.monotonic() + timeout
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.01)


def _become(arguments, cwd, env, out, error, timeout):
    """Run the command as Python would that has just started."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, error, os.O_WRONLY)):
        target = os.open(path, flags | os.O_CREAT)
        os.dup2(target, descriptor)
        os.close(target)
    kind, *own = arguments
    first = {"-m": cwd, "-c": ""}.get(kind, str(Path(kind).parent))
    given = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [first, *given, *sys.path[1:]]
    if kind == "-m":
        sys.argv = own
        runpy.run_module(own[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *own[1:]]
        program = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(own[0], "<string>", "exec"), vars(program))
    else:
        sys.argv = arguments
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    request = _serve()
    if request:
        _become(**request)
