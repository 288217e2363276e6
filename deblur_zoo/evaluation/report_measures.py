"""The measures that a report is asked for, and sentences on those that it lacks."""

import numpy as np

from deblur_zoo import zoo
from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.measures import (
    ByClass,
    Detection,
    FeatureDistance,
    Identity,
    Landmarks,
    Parsing,
    Quality,
    identity_networks,
)
from deblur_zoo.faces.detection import Detector
from deblur_zoo.features.vgg_face import VGGFace
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.zoo import presets

# The layers whose features d_VGG compares.
VGG_LAYERS = ("pool5",)


class Chosen:
    """Measures made from what the command line names.

    Args:
        identity_network: path of a Keras file, "dlib", or None.
        gallery: folder of crops by person, or None.
        labels: whether the faces have labels.
        parser: preset that parses restored faces.
        detection, landmarks: whether to measure them.
        vgg_face: path of VGG-Face's weights, or None.
        verification: whether there is a list of pairs.
        speed: whether times are measured.

    Attributes:
        measures: list of measures, see ``measures``.
        identity: the ``Identity`` among them, or None.
        missing: sentences on what is not measured.

    Raises:
        FileNotFoundError, ValueError, ImportError: an unusable network, gallery, parser or file.
    """

    def __init__(
        self, identity_network=None, gallery=None, labels=None, parser=None, detection=False, landmarks=False,
        vgg_face=None, verification=None, speed=False,
    ):  # fmt: skip
        self.measures, self.missing, self.identity, self._gallery_note = [Quality()], [], None, ""
        self._add_identity(identity_network, gallery)
        if labels:
            self._add_labels(parser)
        else:
            self.missing.append(
                "PSNR and SSIM by semantic class, and parsing F-scores: give --labels, as "
                "`python -m trainers.datasets.label_faces` writes them."
            )
        if detection:
            self.measures.append(Detection(Detector()))
        else:
            self.missing.append("Detection rate: give --detection.")
        if landmarks:
            from deblur_zoo.faces.dlib_networks import DlibNetworks

            self.measures.append(Landmarks(DlibNetworks()))
        else:
            self.missing.append("Landmark error: give --landmarks, after pip install 'deblur-zoo[dlib]'.")
        if vgg_face:
            self.measures.append(
                FeatureDistance(VGGFace(vgg_face, VGG_LAYERS), {"weights": sha256_of(vgg_face), "layers": VGG_LAYERS})
            )
        else:
            self.missing.append("d_VGG: give --vgg_face with the published vgg_face.mat; see docs/features.md.")
        if not verification:
            self.missing.append("Verification: give --verification with a list in LFW's format.")
        if not speed:
            self.missing.append("Times: give --speed.")

    def gallery_note(self, test_sets):
        """A sentence on the gallery of the test sets."""
        if self.identity is None or self._gallery_note:
            return self._gallery_note
        counts = sorted({len(set(test_set.people)) for test_set in test_sets})
        note = f"Gallery: the first sharp picture of each of {' or '.join(map(str, counts))} people"
        flat = any(len(set(test_set.people)) == len(test_set.people) for test_set in test_sets)
        return f"{note}; in a flat folder, where every face is a person, also the face's own." if flat else f"{note}."

    def _add_identity(self, path, gallery):
        if not path:
            self.missing.append(
                "Identity cosine and distance, and recognition: give --identity_network with a Keras file, or `dlib` "
                "after pip install 'deblur-zoo[dlib]'."
            )
            return
        of, pictures = {"network": path if path == "dlib" else sha256_of(path)}, None
        embed = identity_networks(path)
        if gallery:
            faces = Faces(gallery)
            pictures, of["gallery"] = (faces.faces, faces.people), {**faces.data, "people": faces.people}
            self._gallery_note = (
                f"Gallery: {len(faces.faces)} pictures of {len(np.unique(faces.people))} people; only faces of these "
                "people count."
            )
        self.identity = Identity(embed, of, pictures)
        self.measures.append(self.identity)

    def _add_labels(self, parser):
        of = {"weights": presets.read_config(zoo.preset_folder(parser))["weights"]}
        self.measures += [ByClass(), Parsing(zoo.load(parser, kind="parser"), of)]
