"""Errors that stop a run. The last good checkpoint is kept, and the same command resumes from it."""


class RunStopped(Exception):
    """A run cannot continue; the text is one sentence for the user."""


class CannotStart(ValueError):
    """Options, a recipe or data are invalid."""


class NonFiniteLoss(RunStopped):
    """A loss or a variable became NaN or infinite."""


class OtherRun(RunStopped):
    """The folder holds a run of another preset, recipe or data."""


class FolderInUse(RunStopped):
    """Another trainer is working in the folder."""


class DamagedCheckpoint(RunStopped):
    """A checkpoint is truncated or was altered."""


class CannotWrite(RunStopped):
    """A file of the run cannot be written, as on a full disk."""
