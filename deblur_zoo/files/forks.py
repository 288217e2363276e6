"""Raise an error if a loaded model is used in a forked process, which would hang.

TensorFlow, JAX, LiteRT and onnxruntime run a network in their own threads, and a fork does not copy threads.
"""

import os

_forked = False
_guarded = False


def guard():
    """Call where a network is loaded: from then on, ``check`` fails in processes that are forked from this one.

    Raises:
        RuntimeError: as ``check``.
    """
    global _guarded
    check()
    # Windows has no forks.
    if not _guarded and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_mark)
    _guarded = True


def check():
    """Call before a network is run.

    Raises:
        RuntimeError: this process was forked from one in which a network had been loaded.
    """
    if _forked:
        raise RuntimeError(
            "This process was forked from one that had loaded a model, and a model's threads do not survive a fork. "
            "Load models after the fork only, or start processes by multiprocessing.get_context('spawn')."
        )


def _mark():
    global _forked
    _forked = True
