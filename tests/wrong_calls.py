"""Many calls of one command in one process, since each start of Python takes long on a busy machine.

    python wrong_calls.py MODULE CALLS

MODULE has ``_define_flags`` and ``run_command``; CALLS is a JSON list of lists of arguments. Prints JSON: for each call
its exit code and what it printed, and which of the heavy packages were imported.
"""

import contextlib
import importlib
import io
import json
import sys
from pathlib import Path

from absl.testing import flagsaver

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deblur_zoo.files import command_line_tools  # noqa: E402


def main(module, calls):
    command = importlib.import_module(module)
    command._define_flags()
    results = []
    for arguments in json.loads(calls):
        error = io.StringIO()
        sys.argv = [module, *arguments]
        code = None
        with flagsaver.flagsaver(), contextlib.redirect_stderr(error), contextlib.redirect_stdout(error):
            command.flags.FLAGS.unparse_flags()
            try:
                command_line_tools.run(command.run_command, "name")
            except SystemExit as end:
                code = end.code
        results.append([code, error.getvalue()])
    heavy = [name for name in ("tensorflow", "keras", "mtcnn") if name in sys.modules]
    print(json.dumps([results, heavy]))


if __name__ == "__main__":
    main(*sys.argv[1:])
