"""Read SavedModels that the exporters wrote: their description, and a function that runs them.

A SavedModel is a program: its graph may have any TensorFlow operation, including those that read and write files.
Models with operations that networks do not need are rejected before TensorFlow loads them (``graph_operations.py``).
"""

import contextlib
import tempfile
from pathlib import Path

import numpy as np

from deblur_zoo.exported.graph_operations import check_operations
from deblur_zoo.files.archives import unpack
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.files.json_files import read_object

FORMAT_VERSION = 1
# Where a SavedModel keeps files that are not part of the graph.
INFORMATION_FILE = Path("assets.extra", "deblur_zoo.json")
# Requests that TensorFlow Serving runs before it reports a version as available.
WARM_UP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
MODEL_FILE = "saved_model.pb"
FLOAT_SIGNATURE, BYTES_SIGNATURE = "serving_default", "serving_bytes"
LARGEST_VERSION = 2**63 - 1
ARCHIVE_ENDINGS = (".tar.gz", ".tgz")
_LARGEST_MODEL = 2 << 30


def information(path):
    """What an exporter wrote beside a SavedModel: preset, alignment, licence.

    Args:
        path: as for ``open_runner``.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: not a SavedModel of deblur-zoo, or its information is damaged or of a newer format.
    """
    with _saved_model(path) as folder:
        file = folder / INFORMATION_FILE
        if not file.is_file():
            raise ValueError(f"{path} is not a SavedModel that deblur-zoo wrote: it has no {INFORMATION_FILE}.")
        try:
            content = read_object(file)
            version = content["format_version"]
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path}: {INFORMATION_FILE} is damaged: {error!r}.") from error
        if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
            raise ValueError(
                f"{path} has format_version {version!r}, and this deblur_zoo reads up to {FORMAT_VERSION}: install a "
                "newer one."
            )
        return content


def open_runner(path):
    """A function that restores batches with a SavedModel.

    Args:
        path: a folder with ``saved_model.pb``; a folder of versions (the highest is loaded); a ``tf_hub`` folder,
            which has ``model/``; or a ``.tar.gz`` of a SavedModel.

    Returns:
        function from float32 (N, H, W, 3), RGB in [0, 1], to the same.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: not a SavedModel, damaged or altered, with operations that the exporters do not write, with another
            signature, or an archive that is not safe to unpack.
    """
    import tensorflow as tf

    with _saved_model(path) as folder:
        _check_files(folder, path)
        try:
            check_operations(folder)
        except ValueError as error:
            raise ValueError(f"{path} is refused, since {error}.") from error
        try:
            loaded = tf.saved_model.load(str(folder))
        except Exception as error:
            # TensorFlow raises a dozen unrelated exceptions for damaged files.
            raise ValueError(f"{path} is damaged and cannot be loaded: {_first_line(error)}") from error
    signatures = getattr(loaded, "signatures", {})
    if FLOAT_SIGNATURE not in signatures:
        found = ", ".join(sorted(signatures)) or "none"
        raise ValueError(f"{path} has no signature {FLOAT_SIGNATURE!r}; it has {found}.")
    function = signatures[FLOAT_SIGNATURE]
    arguments, outputs = function.structured_input_signature[1], function.structured_outputs
    if not _takes_pictures(arguments) or "restored" not in outputs:
        raise ValueError(
            f"the signature {FLOAT_SIGNATURE!r} of {path} takes {', '.join(map(str, arguments.values()))} and gives "
            f"{', '.join(sorted(outputs))}; float32 (N, H, W, 3) and 'restored' are needed."
        )
    (argument,) = arguments

    def run(images):
        # Through ``loaded``: it keeps the variables alive.
        answer = loaded.signatures[FLOAT_SIGNATURE](**{argument: tf.constant(np.asarray(images, np.float32))})
        return answer["restored"].numpy()

    return run


def _check_files(folder, path):
    """Compare the files with their sha256, where the exporter stored them."""
    if not (folder / INFORMATION_FILE).is_file():
        return
    recorded = information(folder).get("files", {})
    if not isinstance(recorded, dict):
        raise ValueError(f"{path}: {INFORMATION_FILE} is damaged: 'files' is not an object.")
    # Only names of existing files: others could lead out of the folder.
    found = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    for name, sha256 in recorded.items():
        if name not in found or sha256_of(found[name]) != sha256:
            raise ValueError(f"{path} is damaged or was altered: the sha256 of {name} is not the recorded one.")


def _takes_pictures(arguments):
    specifications = list(arguments.values())
    if len(specifications) != 1 or specifications[0].dtype.name != "float32":
        return False
    shape = specifications[0].shape
    return shape.rank == 4 and shape[-1] == 3


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _saved_model(path):
    """The folder with ``saved_model.pb``; an archive is unpacked for the duration of the block."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or directory {path}.")
    if path.is_dir():
        yield _find(path, path)
    elif path.name.endswith(ARCHIVE_ENDINGS):
        with tempfile.TemporaryDirectory(prefix="deblur_zoo_") as temporary:
            folder = Path(temporary, "unpacked")
            unpack(path, folder, str(path), _LARGEST_MODEL)
            yield _find(folder, path)
    else:
        raise ValueError(f"{path} is not a SavedModel: a folder or a .tar.gz of one is needed.")


def find_versions(base_path):
    """Dict of version number to folder, for the folders in ``base_path`` whose name is a 64-bit whole number."""
    try:
        children = list(Path(base_path).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    named = [child for child in children if child.name.isascii() and child.name.isdigit()]
    # As in TensorFlow Serving: larger numbers are not versions.
    return {int(child.name): child for child in named if int(child.name) <= LARGEST_VERSION and child.is_dir()}


def find_models(folder):
    """Folders in ``folder`` with a numbered version of a SavedModel, sorted; hidden ones are skipped."""
    return [
        child
        for child in sorted(Path(folder).iterdir())
        if not child.name.startswith(".")
        and any((version / MODEL_FILE).is_file() for version in find_versions(child).values())
    ]


def find(folder):
    """The folder with ``saved_model.pb``: this one, its ``model/`` or its highest version; None if there is none."""
    versions = find_versions(folder)
    highest = versions[max(versions)] if versions else folder
    candidates = (folder, folder / "model", highest, highest / "model")
    return next((candidate for candidate in candidates if (candidate / MODEL_FILE).is_file()), None)


def _find(folder, path):
    found = find(folder)
    if found is None:
        raise ValueError(f"{path} is not a SavedModel: neither it nor a version in it has a saved_model.pb.")
    return found
