"""Keep expensive objects, such as loaded networks, for a whole process, used by one thread at a time."""

import contextlib
import functools
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any


class OnePerProcess:
    """Makes objects on first use and lets one thread at a time use them.

    Networks have threads of their own, and a large photo takes 1.5 GB.

    Args:
        make: function of hashable arguments that returns an object.
        kept: how many objects to keep; the least recently used go first.
    """

    def __init__(self, make: Callable[..., Any], kept: int = 1) -> None:
        self._made = functools.lru_cache(maxsize=kept)(make)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def use(self, *arguments: Hashable) -> Iterator[Any]:
        """Context manager of the object for these arguments. Other threads wait, also with other arguments."""
        with self._lock:
            yield self._made(*arguments)

    def clear(self) -> None:
        """Forget all objects."""
        self._made.cache_clear()
