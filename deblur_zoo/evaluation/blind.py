"""Judge restorations of real photos, which have no sharp version, without knowing which method made which.

    python -m deblur_zoo.evaluation.blind --preset one_step_lite,umsn_lite --photos crops --out judging
    python -m deblur_zoo.evaluation.blind --out judging --votes votes.json

The first writes judging/blind.html, one page that shows each photo with its restorations in random order and saves
votes as votes.json, and judging/key.json, which says what is what. The second counts votes. Photos are restored whole,
as crops are: cut out or align faces with `python -m deblur_zoo.faces` first.
"""

import base64
import json
import secrets
from pathlib import Path

import numpy as np
from absl import flags

from deblur_zoo.evaluation.page import render
from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.command_line_tools import UsageError

INPUT = "input"


def make_page(photos, restored, seed, token):
    """A page of rounds, one a photo, and its key.

    Args:
        photos: uint8 (H, W, 3) by name.
        restored: dict of method to dict of the photo's name to uint8 (H, W, 3). The unchanged photo competes too.
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


def count_votes(key, votes):
    """How often each method was preferred.

    Args:
        key: as from ``make_page``.
        votes: contents of votes.json: "token" and "votes", an index or None for each of the first rounds.

    Returns:
        list of (method, votes for it, votes cast, p): p of a two-sided binomial test against a random choice. Votes of
        no difference are left out.

    Raises:
        ValueError: votes of another page, or that do not fit it.
    """
    from scipy import stats

    if not isinstance(votes, dict) or votes.get("token") != key["token"]:
        raise ValueError("these votes are of another page")
    cast = votes.get("votes")
    count = len(key["rounds"][0]["methods"])
    if not isinstance(cast, list) or len(cast) > len(key["rounds"]) or not all(
        vote is None or (isinstance(vote, int) and 0 <= vote < count) for vote in cast
    ):  # fmt: skip
        raise ValueError("the votes do not fit the page: they must be numbers of its pictures")
    chosen = [
        one["methods"][vote] for one, vote in zip(key["rounds"], cast, strict=False) if vote is not None
    ]  # fmt: skip
    found = []
    for method in sorted(key["rounds"][0]["methods"], key=lambda name: (-chosen.count(name), name)):
        votes_for = chosen.count(method)
        p = stats.binomtest(votes_for, len(chosen), 1 / count).pvalue if chosen else float("nan")
        found.append((method, votes_for, len(chosen), float(p)))
    return found


def _uri(image):
    return "data:image/png;base64," + base64.b64encode(pictures.encode(image, "png")).decode()


def _write(out):
    from deblur_zoo.evaluation.methods import open_method
    from deblur_zoo.evaluation.protocol import Batch

    paths = pictures.list_pictures(flags.FLAGS.photos)[: flags.FLAGS.limit]
    if not paths:
        raise UsageError(f"{flags.FLAGS.photos} has no pictures")
    photos = {path.relative_to(flags.FLAGS.photos).as_posix(): pictures.read(path)[..., :3] for path in paths}
    photos = {name: np.repeat(image[..., None], 3, -1) if image.ndim == 2 else image for name, image in photos.items()}
    restored = {}
    for source in flags.FLAGS.preset:
        method = open_method(source)
        if method.name in (INPUT, *restored):
            raise UsageError(f"two methods are called {method.name}")
        restored[method.name] = {
            name: method.restore(
                Batch(image[None], image[None], np.zeros(1, int), ""), [Path(name).with_suffix("").as_posix()], None
            )[0]
            for name, image in photos.items()
        }
    token = secrets.token_hex(8)
    page, key = make_page(photos, restored, secrets.randbits(64), token)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (("key.json", json.dumps(key, indent=2)), ("blind.html", page)):
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"wrote {out / 'blind.html'}; do not look into key.json before you have voted")


def judge(arguments):
    """Write the page, or count votes. Returns the exit code."""
    values = flags.FLAGS
    command_line_tools.require_flags(arguments, "out", *([] if values.votes else ["preset", "photos"]))
    out = Path(values.out)
    try:
        if not values.votes:
            _write(out)
            return 0
        key = json.loads((out / "key.json").read_text(encoding="utf-8"))
        counted = count_votes(key, json.loads(Path(values.votes).read_text(encoding="utf-8")))
    except json.JSONDecodeError:
        raise UsageError(f"{values.votes} or {out / 'key.json'} is not JSON") from None
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from None
    print("| method | preferred | of | p, against a random choice |\n|---|---|---|---|")
    for method, count, total, p in counted:
        print(f"| {method} | {count} | {total} | {p:.3g} |")
    return 0


def main():
    flags.DEFINE_list("preset", [], "what to compare, as for `deblur-zoo-eval`")
    flags.DEFINE_string("photos", None, "folder of blurred photos or crops")
    flags.DEFINE_integer("limit", None, "only the first so many photos, sorted by name", lower_bound=1)
    flags.DEFINE_string("out", None, "folder of the page and its key")
    flags.DEFINE_string("votes", None, "count the votes in this file, as the page saves it")
    command_line_tools.run(judge, "deblur_zoo.evaluation.blind")


if __name__ == "__main__":
    main()
