"""Measure every trained preset and classical methods, and write the results document.

    python -m deblur_zoo.evaluation.results --faces crops/celeba_dev --identity_network mobilefacenet.keras \
        --groups_faces crops/mebeauty_aside

Writes docs/results.md and docs/results.json. Faces are canonical crops, as written by `python -m deblur_zoo.faces`.
Measurements already in the JSON file are kept unless their weights, faces or protocol have changed; the file is written
after each measurement, so that an interrupted run can be resumed. See docs/evaluation.md.
"""

import os
import shlex
from functools import partial
from pathlib import Path

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError


def make(settings):
    """Measure and write; see the command's flags.

    Args:
        settings: dict with "faces", "out", and "identity_network", "groups_faces", "group_pattern", "presets", "limit",
            "pairs", "again", "command" (for the document).

    Returns:
        (path of the document, path of results.json).

    Raises:
        FileNotFoundError, ValueError: bad input; no files are written.
        ImportError: a package for the baselines or the intervals is not installed.
    """
    from deblur_zoo import zoo
    from deblur_zoo.evaluation import results_document, results_measurements
    from deblur_zoo.evaluation.camera_protocol import CameraProtocol
    from deblur_zoo.evaluation.faces import Faces
    from deblur_zoo.evaluation.protocol import KernelSizes
    from deblur_zoo.files.atomic_file import atomic_path
    from deblur_zoo.zoo import presets

    path = Path(settings["out"])
    json_path = path.with_suffix(".json")
    index = presets.read_json(zoo.hub_folder() / "index.json")["presets"]
    trained = {name: entry for name, entry in index.items() if entry["kind"] == "deblurrer" and entry["weights_sha256"]}
    chosen = _chosen(settings["presets"], trained)
    earlier = results_measurements.read(json_path)
    _check_packages()
    faces = Faces(settings["faces"], settings["limit"])
    group_faces = settings["groups_faces"] and Faces(settings["groups_faces"])
    groups = group_faces and _groups(group_faces, settings["group_pattern"])
    embed, network_sha256 = _identity_network(settings["identity_network"])

    command = {"command": settings["command"]}
    rows = results_measurements.Rows(
        earlier, settings["again"], lambda rows: results_measurements.write(json_path, {**command, "rows": rows})
    )
    protocol, camera = KernelSizes(), CameraProtocol.of_shards(settings["pairs"])
    of = {"data": faces.data, "protocol": protocol.describe(), "identity_network_sha256": network_sha256}
    _measure_presets(rows, trained, chosen, of, faces, groups and (group_faces, groups), protocol, camera, embed)
    _measure_baselines(rows, of, faces, protocol, embed)

    document = results_document.markdown({**command, "rows": rows.current}, index)
    with atomic_path(path) as temporary:
        temporary.write_text(document, encoding="utf-8")
        results_measurements.write(json_path, {**command, "rows": rows.all})
    return path, json_path


def _chosen(names, trained):
    for name in names or ():
        if name not in trained:
            raise ValueError(f"{name!r} is not a deblurrer with weights; accepted: {', '.join(trained)}")
    return set(names or trained)


def _check_packages():
    # Report this now, not after the first presets.
    try:
        import scipy  # noqa: F401
        import skimage  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{error.name} is not installed: pip install 'deblur-zoo[eval]'") from None


def _groups(faces, pattern):
    from deblur_zoo.evaluation.groups import BOOTSTRAP, groups_of

    groups = groups_of(faces.paths, pattern)
    by_group = {group: groups.count(group) for group in sorted(set(groups))}
    return groups, {"data": faces.data, "faces_by_group": by_group, "pattern": pattern, "bootstrap": BOOTSTRAP}


def _identity_network(path):
    if not path:
        return None, None
    from deblur_zoo.execution import compiled
    from deblur_zoo.features.identity import IdentityNetwork
    from deblur_zoo.files.checksum import sha256_of

    return compiled(IdentityNetwork(path)), sha256_of(path)


def _measure_presets(rows, trained, chosen, of, faces, grouped, protocol, camera, embed):
    """Measure the chosen presets; keep valid measurements of the others."""
    import keras

    from deblur_zoo.evaluation import speed
    from deblur_zoo.evaluation.results_measurements import PresetMeasures

    timed = {"machine": speed.machine(), "backend": keras.backend.backend(), "batch_sizes": list(speed.BATCH_SIZES)}
    of_camera = {"data": faces.data, "protocol": camera.describe()}
    for name, entry in trained.items():
        measures = PresetMeasures(name, embed)
        weights = {"weights_sha256": entry["weights_sha256"]}
        parts = {
            "restoration": ({**weights, **of}, partial(measures.restoration, faces, protocol)),
            "camera": ({**weights, **of_camera}, partial(measures.camera, faces, camera)),
            "second_pass": ({**weights, **of_camera, "passes": 2}, partial(measures.camera, faces, camera, 2)),
            "speed": ({**weights, **timed}, measures.speed),
        }
        if grouped:
            group_faces, (groups, of_groups) = grouped
            parts["groups"] = (
                {**weights, **of_groups, "protocol": protocol.describe()},
                partial(measures.groups, group_faces, groups, protocol),
            )
        for part, (part_of, measure) in parts.items():
            rows.part(name, part, part_of, _told(name, part, measure) if name in chosen else None)


def _measure_baselines(rows, of, faces, protocol, embed):
    from deblur_zoo.evaluation.baselines import BASELINES
    from deblur_zoo.evaluation.results_measurements import baseline_restoration

    for name, baseline in BASELINES.items():
        measure = partial(baseline_restoration, name, faces, protocol, embed)
        # It has constants instead of weights.
        part_of = {"weights_sha256": None, "constants": baseline.constants, **of}
        rows.part(name, "restoration", part_of, _told(name, "restoration", measure))


def _told(name, part, measure):
    def told():
        print(f"{name}: {part}", flush=True)
        return measure()

    return told


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
    flags.DEFINE_integer("limit", None, "measure only on the first so many of --faces", lower_bound=1)
    flags.DEFINE_bool("again", False, "measure everything again, even if it is in the .json file")
    command_line_tools.run(results, "deblur_zoo.evaluation.results")


if __name__ == "__main__":
    main()
