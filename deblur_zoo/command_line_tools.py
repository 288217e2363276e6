"""What every command line of the project shares: one clear sentence and exit code 2 on bad input."""

import sys

from absl import flags


class UsageError(Exception):
    """Bad input from the person at the command line; its text is the one sentence that they see."""


def run(main, name):
    """Parse absl flags, call ``main(arguments)`` and exit with its return code.

    Args:
        main: callable that takes the list of non-flag arguments (without the program's name) and returns an
            exit code or None for success.
        name: the command's name, put before an error sentence.

    ``UsageError``, ``ValueError``, ``TypeError`` of our own checks and file errors become one sentence on
    standard error and exit code 2; Ctrl-C gives 130. Other exceptions are bugs and keep their traceback.
    """
    try:
        arguments = flags.FLAGS(sys.argv)[1:]
    except flags.Error as error:
        _complain(name, str(error).replace("FATAL Flags parsing error:", "").strip())
        sys.exit(2)
    if flags.FLAGS["help"].value or flags.FLAGS["helpfull"].value:
        print(flags.FLAGS.main_module_help())
        sys.exit(0)
    try:
        code = main(arguments)
    except KeyboardInterrupt:
        print("", file=sys.stderr)
        sys.exit(130)
    except (UsageError, FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        _complain(name, error)
        sys.exit(2)
    sys.exit(code or 0)


def _complain(name, error):
    if isinstance(error, OSError) and error.strerror and error.filename:
        error = f"{error.strerror}: {error.filename}"
    print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
