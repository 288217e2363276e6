"""Reusable TensorFlow 2 SavedModel for TensorFlow Hub, with its archive and its card.

Files: ``model/``, the SavedModel; ``NAME.tar.gz``, the same with the SavedModel at the archive's root; and
``card.md``, the Hub's markdown documentation. The loaded object has ``__call__(images, training=False)``,
``variables``, ``trainable_variables``, ``regularization_losses`` and the signature ``serving_default``. Source of the
interface: TensorFlow Hub, "Reusable SavedModels".
"""

import dataclasses
import gzip
import pathlib
import tarfile

from deblur_zoo.files.atomic_folder import atomic_folder
from exporters import hub_card, run_tf_hub, saved_model
from exporters.format import Format
from exporters.requirements import require_packages
from exporters.verify import float_cases, verify

FOLDER, CARD = "model", "card.md"
PROGRAM = pathlib.Path(__file__).with_name("run_tf_hub.py")
# tensorflow_hub imports the other two; newer setuptools have no pkg_resources.
PACKAGES = ("tensorflow_hub", "tf_keras", "pkg_resources")
# The ways in which the fresh process loads and calls the files; see run_tf_hub.py.
WAYS = (
    "hub.load(FOLDER)",
    "hub.load(ARCHIVE)",
    "hub.KerasLayer(FOLDER)",
    "hub.KerasLayer(ARCHIVE)",
    "hub.load(FOLDER).signatures",
)
TRAINING_WAYS = ("hub.load(FOLDER), training", "hub.KerasLayer(FOLDER), training")


def check_backend():
    """Raises RuntimeError if Keras does not run on TensorFlow, or tensorflow_hub is missing."""
    saved_model.check_backend()
    require_packages("verifying a TF Hub export", PACKAGES, "hub")


def export(model, path, overwrite=False, information=None):
    """Write a model for TensorFlow Hub and verify it.

    In a fresh process without this project, folder and archive are loaded with ``hub.load`` and ``hub.KerasLayer`` and
    compared with the model, and a step of fine-tuning must lower a loss.

    Args:
        model: a built ``Deblurrer`` or parser (TensorFlow backend).
        path: the folder to create, named after the version; see ``FORMAT.target``.
        overwrite: replace an existing folder.
        information: JSON-serialisable dict (see ``exporters.information``) for the card and ``assets.extra``.

    Returns:
        list of ``exporters.verify.Compared``.

    Raises:
        FileExistsError: the folder exists, and ``overwrite`` is false.
        exporters.verify.VerificationError: the written files do not load, differ from the model, or cannot be
            fine-tuned; no files remain.
        RuntimeError: as ``check_backend``.
        TypeError: the information is not JSON-serialisable.
    """
    check_backend()
    path = pathlib.Path(path)
    with atomic_folder(path, overwrite) as folder:
        write(model, folder / FOLDER)
        saved_model.write_information(information, folder / FOLDER)
        write_archive(folder / FOLDER, folder / f"{model.name}.tar.gz")
        card = hub_card.card(model.name, path.name, information)
        (folder / CARD).write_text(card, encoding="utf-8")
        return verify(folder, PROGRAM, hub_cases(model))


def hub_cases(model):
    """The same float batches for each way of loading; those for training expect unclipped outputs."""
    cases = []
    trained = run_tf_hub.in_training(model, model)
    for ways, function in ((WAYS, model), (TRAINING_WAYS, lambda images, training: trained(images))):
        first = float_cases(function, ways[0])
        cases += [dataclasses.replace(case, signature=way) for way in ways for case in first]
    return cases


def write(model, folder):
    """Write the reusable SavedModel into a folder, unchecked."""
    import tensorflow as tf

    @tf.function
    def call(images, training=False):
        return model(images, training=training)

    pictures = tf.TensorSpec((None, None, None, 3), tf.float32, name="images")
    for training in (False, True):
        call.get_concrete_function(pictures, training=training)
    # A trackable object without variables of its own.
    reusable = tf.train.Checkpoint()
    reusable.__call__ = call
    reusable.variables = [variable.value for variable in model.variables]
    reusable.trainable_variables = [variable.value for variable in model.trainable_weights]
    reusable.regularization_losses = [
        _regularization_loss(weight) for weight in model.trainable_weights if weight.regularizer is not None
    ]
    signatures = {saved_model.FLOAT_SIGNATURE: saved_model.float_signature(model)}
    tf.saved_model.save(reusable, str(folder), signatures=signatures)


def _regularization_loss(weight):
    import tensorflow as tf

    @tf.function(input_signature=[])
    def loss():
        return weight.regularizer(weight)

    return loss


def write_archive(folder, path):
    """Pack a folder reproducibly: without times and owners, in a fixed order.

    Args:
        folder: its contents go to the archive's root.
        path: of the ``.tar.gz``.
    """
    folder = pathlib.Path(folder)
    # Folders too: TensorFlow Hub does not create missing ones.
    entries = sorted(folder.rglob("*"), key=lambda entry: entry.relative_to(folder).as_posix())
    with (
        open(path, "wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for entry in entries:
            member = tarfile.TarInfo(entry.relative_to(folder).as_posix())
            if entry.is_dir():
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
            else:
                member.size, member.mode = entry.stat().st_size, 0o644
                with open(entry, "rb") as content:
                    archive.addfile(member, content)


FORMAT = Format("tf_hub", export, check_backend)
