"""What stops a run, each said in one sentence. The last good checkpoint stays, and the same command goes on from it."""


class RunStopped(Exception):
    """A run cannot go on; the text is the sentence for the person who started it."""


class CannotStart(ValueError):
    """Options, a recipe or data that no run can begin with."""


class NonFiniteLoss(RunStopped):
    """A loss or a variable became NaN or infinite."""


class OtherRun(RunStopped):
    """The folder holds a run of another preset, recipe or data."""


class FolderInUse(RunStopped):
    """Another trainer works in the folder."""


class DamagedCheckpoint(RunStopped):
    """A checkpoint is truncated or was altered."""


class CannotWrite(RunStopped):
    """A file of the run cannot be written, as on a full disk."""
