"""Share an expensive object, such as a loaded network, among the threads of a process, one thread at a time."""

import contextlib
import functools
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any


class OnePerProcess:
    """Objects that are made on first use and used by one thread at a time.

    For networks: they have threads of their own, and a large photo takes 1.5 GB.

    Args:
        make: makes an object of hashable arguments.
        kept: how many objects to keep, the last used.
    """

    def __init__(self, make: Callable[..., Any], kept: int = 1) -> None:
        self._made = functools.lru_cache(maxsize=kept)(make)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def use(self, *arguments: Hashable) -> Iterator[Any]:
        """Context manager of the object made of these arguments; other threads wait, whatever their arguments."""
        with self._lock:
            yield self._made(*arguments)

    def clear(self) -> None:
        """Forget all objects."""
        self._made.cache_clear()
