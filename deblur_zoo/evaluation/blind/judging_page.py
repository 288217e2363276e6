"""The page of a blind comparison, and its key."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.evaluation.faces import name_of
from deblur_zoo.evaluation.given_pairs import read_rgb
from deblur_zoo.evaluation.methods import Method
from deblur_zoo.evaluation.page import render
from deblur_zoo.evaluation.protocol import Batch
from deblur_zoo.files import pictures

INPUT = "input"


def read_photos(folder: StrPath, limit: int | None = None) -> dict[str, Array]:
    """The photos of a folder, uint8 (H, W, 3), by their path within it.

    Args:
        folder: searched recursively.
        limit: only the first so many, sorted by name.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it has no pictures, or one is damaged or has transparency.
    """
    paths = pictures.list_pictures(folder)[:limit]
    if not paths:
        raise ValueError(f"{folder} has no pictures")
    return {path.relative_to(folder).as_posix(): read_rgb(path) for path in paths}


def restored_by(methods: list[Method], photos: dict[str, Array]) -> dict[str, dict[str, Array]]:
    """Every photo restored by every method: by the method's name, and by the photo's.

    Args:
        methods: none of them an oracle. Another method's outputs have the photos' names.
        photos: as from ``read_photos``.

    Raises:
        ValueError: two methods of one name, an oracle, or no output for a photo.
    """
    names = [INPUT, *(method.name for method in methods)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two methods are called {twice}: give one of them as NAME=PATH")
    restored: dict[str, dict[str, Array]] = {}
    for method in methods:
        restored[method.name] = {}
        for name, image in photos.items():
            batch = Batch(image[None], image[None], np.zeros(1, int), "")
            pair = name_of(Path(name).with_suffix("").as_posix())
            (restored[method.name][name],) = method.restore(batch, [pair], None)
    return restored


def make_page(
    photos: dict[str, Array], restored: dict[str, dict[str, Array]], seed: int, token: str
) -> tuple[str, dict[str, Any]]:
    """A page of rounds, one a photo, and its key.

    Args:
        photos: uint8 (H, W, 3) by name.
        restored: as from ``restored_by``. The unchanged photo competes too.
        seed: of the order of photos and of methods within each.
        token: tells apart the votes of different pages.

    Returns:
        (HTML, key): the key is a dict of "token" and "rounds", each with "photo" and the "methods" in shown order.
    """
    random = np.random.default_rng(seed)
    rounds, key = [], []
    for name in random.permutation(sorted(photos)).tolist():
        methods = random.permutation([INPUT, *restored]).tolist()
        choices = [photos[name] if method == INPUT else restored[method][name] for method in methods]
        rounds.append({"input": _uri(photos[name]), "choices": [_uri(image) for image in choices]})
        key.append({"photo": name, "methods": methods})
    return render("blind.html.jinja", rounds=rounds, token=token), {"token": token, "rounds": key}


def _uri(image):
    return "data:image/png;base64," + base64.b64encode(pictures.encode(image, "png")).decode()
