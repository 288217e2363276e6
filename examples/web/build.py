"""Build the web app into a folder that any static host can serve.

    python -m examples.web.build --preset one_step_lite --out dist/web

Exports the preset as a TFLite file, and copies it beside the app, LiteRT.js (from `npm ci` in examples/web) and an
example photo. An existing folder is replaced.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import flags

from deblur_zoo.exported import tflite_file
from deblur_zoo.faces.alignment import canonical_points, similarity_transform
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.atomic_folder import atomic_folder
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.files.command_line_tools import UsageError
from examples.make_example import PHOTO, POINTS

FLAGS = flags.FLAGS
FOLDER = Path(__file__).parent
LITERT = FOLDER / "node_modules" / "@litertjs"
# For every browser, for those with relaxed SIMD, and the same with threads. A browser loads one.
VARIANTS = ("litert_wasm_compat_internal", "litert_wasm_internal", "litert_wasm_threaded_internal")
MODEL = "model.tflite"
WORKER = "service_worker.js"
INDEX = "index.html"


def build(preset, out):
    """Write the app.

    Args:
        preset: name of a preset, or its folder.
        out: the folder to write; an existing one is replaced.

    Raises:
        UsageError: LiteRT.js is not installed, the preset cannot be exported, or ``out`` holds something else.
    """
    out = Path(out)
    if not (LITERT / "core" / "package.json").is_file():
        raise UsageError(f"LiteRT.js is missing: run `npm ci` in {FOLDER}")
    if out.exists() and any(out.iterdir()) and not (out / WORKER).is_file():
        raise UsageError(f"--out: {out} holds other files than this app's: name another folder")
    with atomic_folder(out, overwrite=True) as folder:
        shutil.copytree(FOLDER / "app", folder, dirs_exist_ok=True)
        _export(preset, folder / MODEL)
        shutil.copy(PHOTO, folder)
        litert = _copy_litert(folder)
        described = {
            "preset": tflite_file.information(folder / MODEL)["preset"],
            "model": MODEL,
            "litert": litert,
            "example": {"file": PHOTO.name, "placement": _placement(POINTS)},
        }
        (folder / "build.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        _fill_worker(folder)


def _placement(points):
    """Photo to crop as the app's [a, b, x, y], whose coordinates begin at the edges of pixels, not at their centres."""
    matrix = similarity_transform(points + 0.5, canonical_points() + 0.5)
    return [float(value) for value in (matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2])]


def _export(preset, path):
    """One float16 file: shipped weights have no more bits, and it is half the size."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "exporters", "--preset", preset, "--format", "tflite", "--precisions", "float16"]
        if subprocess.run([sys.executable, *command, "--out", folder]).returncode:
            raise UsageError(f"--preset: {preset} could not be exported; the lines above say why")
        (file,) = Path(folder).rglob("*.tflite")
        shutil.copy(file, path)


def _copy_litert(folder):
    """Copy what a browser loads of LiteRT.js; returns the folder's name, which holds the version."""
    version = json.loads((LITERT / "core" / "package.json").read_text())["version"]
    name = f"litert-{version}"
    (folder / name).mkdir()
    core = (LITERT / "core" / "dist" / "index.js").read_text(encoding="utf-8")
    bare = '"@litertjs/wasm-utils"'
    if core.count(bare) != 1:
        raise UsageError(f"LiteRT.js {version} imports {bare} in another way than this build expects")
    # Browsers import by path.
    core = core.replace(bare, '"./wasm_utils.js"').replace("//# sourceMappingURL=index.js.map", "")
    (folder / name / "core.js").write_text(core, encoding="utf-8")
    shutil.copy(LITERT / "wasm-utils" / "dist" / "index.js", folder / name / "wasm_utils.js")
    for variant in VARIANTS:
        for ending in ("js", "wasm"):
            # Its permissions are the package's: executable.
            shutil.copyfile(LITERT / "core" / "wasm" / f"{variant}.{ending}", folder / name / f"{variant}.{ending}")
    return name


def _fill_worker(folder):
    """Give the service worker the list of files and a hash of them all, itself included."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    digest = hashlib.sha256("".join(f"{file} {sha256_of(folder / file)}\n" for file in files).encode()).hexdigest()
    on_use = [file for file in files if Path(file).stem in VARIANTS]
    # Hosts may redirect index.html to the folder, and a redirected answer cannot be shown.
    at_once = ["./", *(file for file in files if file not in (*on_use, WORKER, INDEX))]
    text = (folder / WORKER).read_text(encoding="utf-8")
    for place, value in (("/* VERSION */ ''", digest[:16]), ("/* FILES */ [[], []]", [at_once, on_use])):
        assert text.count(place) == 1, place
        text = text.replace(place, json.dumps(value))
    (folder / WORKER).write_text(text, encoding="utf-8")


def run(arguments):
    command_line_tools.require_flags(arguments, "preset", "out")
    build(FLAGS.preset, FLAGS.out)
    print(f"wrote {FLAGS.out}: serve it with any web server, such as `python -m http.server --directory {FLAGS.out}`")


def main():
    flags.DEFINE_string("preset", "one_step_lite", "preset's name, or a folder with config.json and weights")
    flags.DEFINE_string("out", "dist/web", "folder to write")
    command_line_tools.run(run, "python -m examples.web.build")


if __name__ == "__main__":
    main()
