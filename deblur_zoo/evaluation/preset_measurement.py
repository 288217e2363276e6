"""Measure a preset on a folder of aligned faces, for ``python -m deblur_zoo.evaluation`` and for publishing."""

from deblur_zoo import zoo
from deblur_zoo.evaluation import table
from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.protocol import KernelSizes
from deblur_zoo.execution import compiled
from deblur_zoo.files.pictures import repeated
from deblur_zoo.zoo import presets


class PresetMeasurement:
    """A preset, faces and a protocol, ready to be measured.

    Args:
        preset: name of a preset, or a folder with ``config.json`` and weights.
        folder: of aligned sharp crops.
        limit: measure only on the first so many faces, sorted by name.
        protocol: ``KernelSizes`` or ``CameraProtocol``; None: ``KernelSizes()``.
        identity_network: Keras file of a face recognition network, or None.
        batch_size: faces per forward pass.
        passes: how many times a face goes through the model.

    Attributes:
        faces: uint8 (N, 128, 128, 3).
        protocol: the protocol.
        restored: function of float (N, 128, 128, 3) that restores them.
        measurement: after ``run``, a ``deblur_zoo.evaluation.measurement.Measurement``.

    Raises:
        FileNotFoundError, ValueError: an unusable preset, folder of faces or network.
    """

    def __init__(self, preset, folder, limit=None, protocol=None, identity_network=None, batch_size=16, passes=1):
        # Check what is quick to check before importing TensorFlow.
        self._weights = presets.read_config(zoo.preset_folder(preset))["weights"]
        self._source = Faces(folder, limit)
        self.faces = self._source.faces
        self.protocol = protocol or KernelSizes()
        self._model = zoo.load(preset, kind="deblurrer")
        self._network = _identity_network(identity_network)
        self._batch_size, self._passes = batch_size, passes
        self.restored = self.measurement = None

    def run(self, progress=False):
        """Measure.

        Args:
            progress: show a bar.

        Returns:
            the contents of metrics.json.
        """
        from deblur_zoo.evaluation.measurement import evaluate

        model, source = self._model, self._source
        self.restored = repeated(model.run, self._passes)
        embed = compiled(self._network) if self._network else None
        self.measurement = evaluate(
            self.restored, self.faces, self.protocol, self._batch_size, embed, progress=progress
        )
        return {
            **table.summary(self.measurement),
            "model": {
                "name": model.name,
                "parameters": model.count_params(),
                "weights_sha256": self._weights["sha256"],
                "precision": model.compute_dtype,
                **({"passes": self._passes} if self._passes > 1 else {}),
            },
            "data": {
                "folder": source.data["folder"],
                "fingerprint": source.data["fingerprint"],
                "skipped_files": source.skipped,
            },
            "versions": table.versions(),
        }


def _identity_network(path):
    if not path:
        return None
    from deblur_zoo.features.identity import IdentityNetwork

    return IdentityNetwork(path)
