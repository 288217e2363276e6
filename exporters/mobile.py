"""Write the TFLite files that ship with a preset.

    python -m exporters.mobile --preset one_step_lite --faces crops/train

Replaces hub_models/PRESET/mobile/: the float16 and the int8 file for faces of 128x128, and SHA256SUMS. The
faces, sharp and aligned, calibrate int8. Run it again whenever the preset's weights change.
"""

import shutil
import tempfile
from pathlib import Path

from absl import flags

from deblur_zoo import zoo
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.atomic_folder import atomic_folder
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.zoo import presets
from exporters import tflite_model
from exporters.information import information
from exporters.verify import VerificationError

PRECISIONS = ("float16", "int8")
SUMS = "SHA256SUMS"


def ship(source, target, faces):
    """Export a preset's float16 and int8 file and replace a folder by them, with SHA256SUMS for ``sha256sum -c``.

    Args:
        source: a trained preset.
        target: the folder to write or replace.
        faces: folder of at least 16 sharp aligned faces.

    Returns:
        list of ``exporters.tflite_check.Checked``.

    Raises:
        As ``deblur_zoo.load`` and ``exporters.tflite_model.export``.
    """
    config, model = presets.read_config(zoo.preset_folder(source)), zoo.load(source, kind="deblurrer")
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary, "files")
        results = tflite_model.export(
            model, written, information=information(config["name"], config), precisions=PRECISIONS, faces=faces
        )
        # Times of this machine say nothing about phones.
        (written / "report.tsv").unlink()
        lines = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(written.iterdir())]
        (written / SUMS).write_text("".join(lines), encoding="utf-8")
        with atomic_folder(target, overwrite=True) as folder:
            shutil.copytree(written, folder, dirs_exist_ok=True)
    return results


def main():
    flags.DEFINE_string("preset", None, "name of a trained preset")
    flags.DEFINE_string("faces", None, "folder of sharp aligned faces, blurred to calibrate int8")
    command_line_tools.run(_write, "python -m exporters.mobile")


def _write(arguments):
    command_line_tools.require_flags(arguments, "preset", "faces")
    name = flags.FLAGS.preset
    if name not in zoo.list_models(trained=True):
        raise UsageError(f"--preset must be a trained preset of the zoo, got {name}; accepted: deblur-zoo --list")
    target = Path(zoo.hub_folder(), name, "mobile")
    try:
        results = ship(name, target, flags.FLAGS.faces)
    except (ValueError, RuntimeError, OSError, VerificationError) as error:
        raise UsageError(str(error)) from None
    for result in results:
        print(result)
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    main()
