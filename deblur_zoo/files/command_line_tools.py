"""Shared by all command lines: one clear sentence and exit code 2 for invalid input."""

import contextlib
import glob
import importlib
import io
import os
import sys
from pathlib import Path

from absl import flags

from deblur_zoo.files import tensorflow_import

_LISTED = 20


class UsageError(Exception):
    """Invalid input at the command line; the text is the sentence that the user sees."""


def run(main, name):
    """Parse absl flags, call ``main(arguments)`` and exit with its return code.

    Args:
        main: function that takes the list of non-flag arguments (without the program's name) and returns an
            exit code, or None for success. The docstring of its module is the text that ``--help`` prints,
            followed by the flags that this module defines.
        name: the command, printed before an error message: an entry point in pyproject.toml, or the module.

    A ``UsageError`` or ``OSError`` (missing or forbidden file, full disk) becomes one sentence on standard error and
    exit code 2; Ctrl-C gives 130. Other exceptions are bugs and keep their traceback. TensorFlow starts quietly.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files need not be valid UTF-8; standard error prints them so anyway.
        sys.stdout.reconfigure(errors="backslashreplace")
    tensorflow_import.prepare()
    if "help" not in flags.FLAGS:
        flags.DEFINE_boolean("help", False, "show this text", short_name="h")
        flags.DEFINE_list("import_modules", [], "modules that register networks and methods of your own")
    try:
        arguments = flags.FLAGS(sys.argv)[1:]
    except flags.Error as error:
        _complain(name, str(error))
        sys.exit(2)
    if flags.FLAGS["help"].value:
        # absl files flags of a module run by `python -m` under the script's path.
        module = sys.argv[0] if main.__module__ == "__main__" else main.__module__
        text = (sys.modules[main.__module__].__doc__ or "").strip()
        try:
            print(text, flags.FLAGS.module_help(module), sep="\n", flush=True)
        except BrokenPipeError:
            # `--help | head`: the reader has seen enough. The interpreter would complain again on its way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    try:
        _import_own(flags.FLAGS["import_modules"].value)
        code = main(arguments)
    except KeyboardInterrupt:
        print("", file=sys.stderr)
        sys.exit(130)
    except (UsageError, OSError) as error:
        _complain(name, error)
        sys.exit(2)
    sys.exit(code or 0)


def working(text):
    """A context that shows a text with a moving sign on a terminal, for work of seconds whose end cannot be foreseen.

    Nothing is shown in pipes and files. No tqdm bar may run inside.
    """
    if not sys.stderr.isatty():
        return contextlib.nullcontext()
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    # Standard output may be a pipe: Live would send what is printed to the terminal.
    sign = Spinner("dots", Text(f"{text} ..."))
    return Live(sign, console=Console(stderr=True), refresh_per_second=8, transient=True, redirect_stdout=False)


def _import_own(modules):
    """Import what ``--import_modules`` names. No file that a command reads can ask for it."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UsageError(f"--import_modules: {module} cannot be imported: {error}") from None


def require_flags(arguments, *names):
    """Reject positional arguments and missing flags, for a command that takes only flags.

    Args:
        arguments: the non-flag arguments.
        names: flags that must be given.

    Raises:
        UsageError: an argument, or the first missing flag.
    """
    if arguments:
        raise UsageError(f"unexpected argument {arguments[0]!r}; this command accepts only flags, see --help")
    for name in names:
        if not flags.FLAGS[name].value:
            raise UsageError(f"--{name} is missing; see --help")


def require_folders(*names):
    """Reject flags that name something else than a folder; those that are not given are left to ``require_flags``.

    Raises:
        UsageError: the value is not a folder.
    """
    for name in names:
        value = flags.FLAGS[name].value
        if value and not os.path.isdir(value):
            raise UsageError(f"--{name} must be a folder, got {value}")


def whole_numbers(name):
    """A list flag as whole numbers of at least 0.

    Raises:
        UsageError: an entry that is none.
    """
    values = flags.FLAGS[name].value
    # Digits of other scripts are numbers too, but nobody means them.
    if not all(value.isascii() and value.isdigit() for value in values):
        raise UsageError(f"--{name} must be whole numbers, got {','.join(values)}")
    return [int(value) for value in values]


def first_of(entries, where=""):
    """Lines for the first entries of a long list, indented, and how many more there are.

    Args:
        entries: list of (name, reason).
        where: end of the last line, such as ", all in report.tsv".
    """
    lines = [f"  {name}: {reason}" for name, reason in entries[:_LISTED]]
    return lines + [f"  and {len(entries) - _LISTED} more{where}"] * (len(entries) > _LISTED)


def table(flag):
    """A list flag of name=value entries as a dict.

    Raises:
        UsageError: an entry without "=", or a name that comes twice.
    """
    found = {}
    for entry in flags.FLAGS[flag].value:
        name, _, value = entry.partition("=")
        if not name or not value or name in found:
            raise UsageError(f"--{flag} {entry!r} is not name=value, or its name comes twice")
        found[name] = value
    return found


def _complain(name, error):
    if isinstance(error, OSError) and error.strerror and error.filename:
        error = f"{error.strerror}: {error.filename}"
    print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)


def sources_and_target(arguments, output):
    """Paths of what to deblur and where to write.

    Args:
        arguments: what the command line has beside flags: paths, or patterns such as "photos/**/*.jpg".
        output: the flag, or None.

    Returns:
        (list of paths, the output as it was given: a "/" at its end says that it is a folder).

    Raises:
        UsageError: no argument, no output, or nothing at a source.
    """
    if not arguments:
        raise UsageError("Name a file or folder to deblur; see --help.")
    if not output:
        raise UsageError("The output is missing: pass -o FILE or -o FOLDER.")
    sources = []
    for argument in arguments:
        # Not every shell expands patterns, and a quoted one comes as it is.
        found = [argument] if os.path.exists(argument) else sorted(glob.glob(argument, recursive=True))
        if not found:
            raise UsageError(f"There is no file or folder {argument}.")
        sources += map(Path, found)
    return sources, output
