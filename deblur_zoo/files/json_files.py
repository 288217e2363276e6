"""Read JSON objects from small files that may come from anywhere."""

import json
from pathlib import Path
from typing import Any

LARGEST_JSON = 1_000_000


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: above 1 MB, or not a JSON object; the message says why, but not which file.
    """
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError("it is larger than 1 MB")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it contains no JSON object")
    return content
