"""Measure every trained preset and classical methods, and write the results document.

    python -m deblur_zoo.evaluation.results --faces crops/celeba_dev --identity_network mobilefacenet.keras \
        --groups_faces crops/mebeauty_aside --pairs pairs_dev

Writes docs/results.md and docs/results.json: the tables of `deblur-zoo-eval` for the protocols kernel_sizes, sharp_in
and camera. Faces are canonical crops, as written by `python -m deblur_zoo.faces`. What is measured is kept in --kept:
an interrupted run can be resumed, and only what has changed is measured again. See docs/evaluation.md.
"""

import os
import shlex
import shutil
from pathlib import Path

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

PROTOCOLS = ("kernel_sizes", "sharp_in", "camera")


def make(settings):
    """Measure and write; see the command's flags.

    Args:
        settings: dict with "faces", "out", "kept", and "identity_network", "groups_faces", "group_pattern", "presets",
            "limit", "pairs", "again", "speed", "command" (for the document).

    Returns:
        (path of the document, path of results.json).

    Raises:
        FileNotFoundError, ValueError: bad input; no files are written.
        ImportError: a package of the extra "eval" is not installed.
    """
    import scipy  # noqa: F401  Report this now, not after the first presets.

    from deblur_zoo import zoo
    from deblur_zoo.evaluation import results_tables, runs, speed
    from deblur_zoo.evaluation.baselines import BASELINES
    from deblur_zoo.evaluation.groups import groups_of
    from deblur_zoo.evaluation.methods import open_method
    from deblur_zoo.evaluation.protocols import FacesOfFolder, make_test_set
    from deblur_zoo.evaluation.report import make_report
    from deblur_zoo.evaluation.report_measures import Chosen
    from deblur_zoo.files.atomic_file import atomic_path
    from deblur_zoo.zoo import presets

    out, kept = Path(settings["out"]), Path(settings["kept"])
    index = presets.read_json(zoo.hub_folder() / "index.json")["presets"]
    trained = [name for name, entry in index.items() if entry["kind"] == "deblurrer" and entry["weights_sha256"]]
    for name in settings["presets"] or ():
        if name not in trained:
            raise ValueError(f"{name!r} is not a deblurrer with weights; accepted: {', '.join(trained)}")
    names = settings["presets"] or trained
    faces = FacesOfFolder(settings["faces"], settings["limit"])
    people = settings["groups_faces"] and FacesOfFolder(settings["groups_faces"])
    groups = people and groups_of([f"{stem}.webp" for stem in people.stems], settings["group_pattern"])
    chosen = Chosen(settings["identity_network"], speed=True, verification=True)
    if settings["again"]:
        shutil.rmtree(kept, ignore_errors=True)

    test_sets = [make_test_set(name, faces, shards=settings["pairs"]) for name in PROTOCOLS]
    methods = [open_method(name) for name in names]
    results = runs.run_all([*methods, *map(open_method, BASELINES)], test_sets, chosen.measures, kept, progress=True)
    twice = [open_method(name, passes=2) for name in names]
    for method in twice:
        results.append(runs.run(method, test_sets[-1], chosen.measures, kept, progress=True))
    times = {}
    if settings["speed"]:
        times = {
            method.name: {size: speed.milliseconds_a_face(method.model, size) for size in speed.BATCH_SIZES}
            for method in methods
        }
    report = make_report(results, milliseconds=times, command=settings["command"])
    report.title = "Results"
    if times:
        report.about.append(f"Times: {speed.machine()}, float32")
    if people:
        of_people = runs.run_all(
            methods, [make_test_set("kernel_sizes", people)], chosen.measures[:1], kept / "groups", progress=True
        )
        by_people = results_tables.by_people(of_people, dict(zip(people.names, groups, strict=True)))
        report.tables.append(by_people)
    report.tables[:0] = [results_tables.presets(index), results_tables.reading(runs.frame_of(results))]
    report.tables += filter(None, [results_tables.parsers(index)])
    written = {out: report.markdown(), out.with_suffix(".json"): report.json()}
    for path, text in written.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return tuple(written)


def command(values):
    """The command as given, with only the last part of folder and file names."""
    words = ["python", "-m", "deblur_zoo.evaluation.results"]
    for name in ("faces", "identity_network", "groups_faces"):
        if values[name]:
            words += [f"--{name}", Path(values[name]).resolve().name]
    if values["group_pattern"] != values["default_pattern"]:
        words += ["--group_pattern", values["group_pattern"]]
    if values["pairs"]:
        words += ["--pairs", ",".join(Path(source).resolve().name for source in values["pairs"])]
    if values["presets"]:
        words += ["--presets", ",".join(values["presets"])]
    if values["limit"]:
        words += ["--limit", str(values["limit"])]
    return shlex.join(words)


def check_paths(values):
    """Raise UsageError for folders and files that do not exist or cannot be written."""
    for name in ("faces", "groups_faces"):
        if values[name] and not os.path.isdir(values[name]):
            raise UsageError(f"--{name} must be a folder, got {values[name]}")
    if values["identity_network"] and not os.path.isfile(values["identity_network"]):
        raise UsageError(f"--identity_network must be a file, got {values['identity_network']}")
    out = Path(values["out"])
    if out.suffix != ".md" or out.is_dir():
        raise UsageError(f"--out must be a file ending in .md, got {out}")
    if not out.absolute().parent.is_dir() or not os.access(out.absolute().parent, os.W_OK):
        raise UsageError(f"cannot write into the folder of --out, {out.parent}")


def results(arguments):
    """Check the flags, measure and write. Returns the exit code."""
    command_line_tools.require_flags(arguments, "faces", "out")
    values = {**flags.FLAGS.flag_values_dict(), "default_pattern": flags.FLAGS["group_pattern"].default}
    check_paths(values)
    try:
        written = make({**values, "command": command(values)})
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: pip install 'deblur-zoo[eval]'") from None
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from None
    print("wrote " + " and ".join(map(str, written)))
    return 0


def main():
    from deblur_zoo.evaluation.groups import PATTERN

    flags.DEFINE_string("faces", None, "folder of aligned sharp crops that no preset was trained on")
    flags.DEFINE_string("identity_network", None, "Keras file of a face recognition network, for the identity cosine")
    flags.DEFINE_string("groups_faces", None, "folder of aligned sharp crops whose names contain people's groups")
    flags.DEFINE_string("group_pattern", PATTERN, "regular expression of such a name, with a part (?P<group>...)")
    flags.DEFINE_list("pairs", [], "shards of video pairs, for a row of real motion; see trainers.datasets.video_pairs")
    flags.DEFINE_list("presets", [], "measure only these presets, separated by commas; default: all with weights")
    flags.DEFINE_string("out", "docs/results.md", "document to write; the numbers go into a .json file beside it")
    flags.DEFINE_string("kept", "runs/results", "folder for what is measured")
    flags.DEFINE_integer("limit", None, "measure only on the first so many of --faces", lower_bound=1)
    flags.DEFINE_bool("again", False, "measure everything again")
    flags.DEFINE_bool("speed", True, "also measure times: the machine should be idle")
    command_line_tools.run(results, "deblur_zoo.evaluation.results")


if __name__ == "__main__":
    main()
