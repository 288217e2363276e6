"""Judge restorations of real photos, which have no sharp version, without knowing which method made which.

    python -m deblur_zoo.evaluation.blind --preset one_step_lite,umsn_lite --photos crops --out judging
    python -m deblur_zoo.evaluation.blind --out judging --votes votes.json

The first writes judging/blind.html, one page that shows each photo with its restorations in random order and saves
votes as votes.json, and judging/key.json, which says what is what. The second counts votes. Photos are restored whole,
as crops are: cut out or align faces with `python -m deblur_zoo.faces` first.
"""

import json
import secrets
from pathlib import Path

from absl import flags

from deblur_zoo.evaluation.blind.judging_page import make_page, read_photos, restored_by
from deblur_zoo.evaluation.blind.votes import count_votes
from deblur_zoo.evaluation.methods import open_method
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.json_files import read_object

FLAGS = flags.FLAGS
flags.DEFINE_list("preset", [], "what to compare, as for `deblur-zoo-eval`")
flags.DEFINE_string("photos", None, "folder of blurred photos or crops")
flags.DEFINE_integer("limit", None, "only the first so many photos, sorted by name", lower_bound=1)
flags.DEFINE_string("out", None, "folder of the page and its key")
flags.DEFINE_string("votes", None, "count the votes in this file, as the page saves it")


def main(arguments):
    command_line_tools.require_flags(arguments, "out", *([] if FLAGS.votes else ["preset", "photos"]))
    try:
        if FLAGS.votes:
            _count(Path(FLAGS.out))
        else:
            _write(Path(FLAGS.out))
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from None


def _write(out):
    photos = read_photos(FLAGS.photos, FLAGS.limit)
    restored = restored_by([open_method(source) for source in FLAGS.preset], photos)
    page, key = make_page(photos, restored, secrets.randbits(64), secrets.token_hex(8))
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (("key.json", json.dumps(key, indent=2)), ("blind.html", page)):
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"wrote {out / 'blind.html'}; do not look into key.json before you have voted")


def _count(out):
    counted = count_votes(_read(out / "key.json"), _read(FLAGS.votes))
    print("| method | preferred | of | p, against a random choice |\n|---|---|---|---|")
    for method, count, total, p in counted:
        print(f"| {method} | {count} | {total} | {p:.3g} |")


def _read(path):
    try:
        return read_object(Path(path))
    except ValueError as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


if __name__ == "__main__":
    command_line_tools.run(main, "deblur_zoo.evaluation.blind")
