"""Validation of models of kind "parser": F-scores on sharp faces with known labels."""

import numpy as np

from deblur_zoo.data.face_store import central_crop
from deblur_zoo.metrics.parsing import COMPONENTS, component_scores, confusion
from trainers.validation.model_runner import run_on_faces
from trainers.validation.pictures import chosen_faces, strip

# RGB of the classes in strips; unknown pixels are grey.
COLOURS = np.full((256, 3), 128, np.uint8)
COLOURS[:11] = [
    (0, 0, 0), (244, 196, 160), (120, 70, 20), (170, 110, 40), (40, 120, 255), (90, 200, 255), (250, 220, 60),
    (220, 40, 60), (255, 255, 255), (255, 120, 140), (90, 40, 130),
]  # fmt: skip


class ParsingDevelopmentSet:
    """Sharp faces and their labels; see ``trainers.validation.kinds`` for the interface.

    Args:
        faces: uint8 (N, S, S, 3), S >= ``crop_size``; the centre is used.
        labels: uint8 (N, S, S), ``FaceClass`` values, 255 unknown.
        crop_size: side in pixels.
        batch_size: faces per forward pass.

    Raises:
        ValueError: no labels, or only unknown ones.
    """

    score = "mean_f_score"

    def __init__(self, faces, labels, crop_size=128, batch_size=16):
        if labels is None:
            raise ValueError("measuring a parser needs the folder of the development faces' labels")
        self.faces = central_crop(faces, crop_size)
        self.labels = central_crop(labels, crop_size)
        if not np.isin(self.labels, list(COMPONENTS.values())).any():
            raise ValueError("the development faces' labels contain no part of a face")
        self.batch_size = batch_size

    def _parse(self, model, faces):
        """The labels found, uint8 (N, S, S)."""
        return np.argmax(run_on_faces(model, faces, self.batch_size), axis=-1).astype(np.uint8)

    def confusion(self, model):
        """Pixels by true and by predicted class, see ``deblur_zoo.metrics.parsing.confusion``."""
        return confusion(self.labels, self._parse(model, self.faces))

    def measure(self, model):
        """F-scores over all pixels of all faces.

        Args:
            model: a FaceParser.

        Returns:
            dict with "mean_f_score" over the components, and "f_" with each component's name. Components absent from
            all labels are left out, since labels may not cover them, as a face mesh does not cover hair.
        """
        counts = self.confusion(model)
        scores = component_scores(counts)
        scores = {f"f_{name}": scores[name] for name, label in COMPONENTS.items() if counts[label].any()}
        return {"mean_f_score": float(np.mean(list(scores.values()))), **scores}

    def strip(self, model):
        """A few faces, image | predicted labels | true labels: uint8 (H, W, 3)."""
        few = chosen_faces(len(self.faces))
        found = self._parse(model, self.faces[few])
        return strip({"picture": self.faces[few], "found": COLOURS[found], "given": COLOURS[self.labels[few]]})
