"""Apply a function of batches to arrays of any length."""

from collections.abc import Callable
from typing import Any

import numpy as np

from deblur_zoo.annotations import Array


def in_batches(function: Callable[..., Any], batch_size: int, *arrays: Array, fill: bool = False) -> Any:
    """Apply a function to parts of arrays of length N > 0.

    Args:
        function: takes a part of each array and returns an array, or a dict of arrays, of the same length.
        batch_size: largest length of a part.
        arrays: of the same length N.
        fill: repeat the first row of the last part up to ``batch_size``, so that a compiled function sees one shape.

    Returns:
        the function's results, an array (N, ...) or a dict of them.

    Raises:
        ValueError: ``batch_size`` is not a whole number of at least 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}.")
    results = []
    for start in range(0, len(arrays[0]), batch_size):
        parts = [array[start : start + batch_size] for array in arrays]
        length = len(parts[0])
        if fill:
            parts = [np.concatenate([part, np.repeat(part[:1], batch_size - length, axis=0)]) for part in parts]
        result = function(*parts)
        if isinstance(result, dict):
            results.append({name: values[:length] for name, values in result.items()})
        else:
            results.append(result[:length])
    if isinstance(results[0], dict):
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}
    return np.concatenate(results)
