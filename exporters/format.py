"""The interface of an export format for ``python -m exporters``."""

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

from deblur_zoo.files.command_line_tools import UsageError


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        name: on the command line, and of the folder between those of the preset and the version.
        export: ``export(model, path, overwrite=False, information=None, **options)`` writes into a new folder ``path``,
            runs the files in a fresh process, compares it with the model, and returns the comparisons, all passed.
            Each has a readable ``str()``. It raises ``exporters.verify.VerificationError`` if one fails, ValueError
            for options or a model that the format does not support, or OSError, such as FileExistsError; then no files
            remain. The information comes from ``exporters.information``.
        check_backend: raises RuntimeError if the format cannot be written from the current Keras backend, or a package
            is missing.
        define_flags: defines the format's own flags.
        flags: their names.
        read_options: function of absl's ``FLAGS`` that returns the options of ``export``; raises ``UsageError`` for
            invalid values.
        own_folder: whether files go to ``out/preset/name/version``; false: to ``out/preset/version``.
    """

    name: str
    export: Callable[..., list]
    check_backend: Callable[[], None]
    define_flags: Callable[[], None] = lambda: None
    flags: tuple[str, ...] = ()
    read_options: Callable[[object], dict] = lambda flags: {}
    own_folder: bool = True

    def target(self, preset: str, out: str | pathlib.Path, version: int) -> pathlib.Path:
        """The folder that a version of a preset goes to."""
        return pathlib.Path(out, preset, *([self.name] if self.own_folder else []), str(version))

    def refuse_flags(self, flags, chosen: str) -> None:
        """Raise UsageError if a flag of this format was given for another format."""
        for name in self.flags:
            if flags[name].present:
                raise UsageError(f"--{name} is for the format {self.name}, and --format is {chosen}")
