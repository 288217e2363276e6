"""What is measured of each restored picture: each measure gives columns with one number a picture.

A measure is called with a ``TestSet``, a ``Batch`` and the restored pictures, uint8 (N, H, W, 3), and returns a dict of
column to (N,) numbers, NaN where a picture has none. Its ``of`` says what its numbers depend on.
"""

import hashlib

import numpy as np
from keras import ops

from deblur_zoo.evaluation.protocol import as_float
from deblur_zoo.evaluation.protocols import ONE_STEP_REGION, OPTIONS
from deblur_zoo.execution import compiled
from deblur_zoo.features.identity import IdentityNetwork
from deblur_zoo.metrics.by_class import quality_by_class
from deblur_zoo.metrics.identity import identity_cosine
from deblur_zoo.metrics.image_quality import PSNR_CAP, psnr, ssim, ssim_volume
from deblur_zoo.metrics.landmarks import landmark_error
from deblur_zoo.metrics.parsing import CLASSES, COMPONENTS, MERGED, UMSN_CLASSES, confusion
from deblur_zoo.metrics.recognition import ranks

# The share of its box that a face found in a restored picture must have in common with the sharp one's.
OVERLAP = 0.5
# Groups of classes whose pixels are counted, by the columns' names.
PARSED = {**{name: (label,) for name, label in COMPONENTS.items()}, **MERGED, **UMSN_CLASSES}


class Remembered:
    """A function of one picture that is called once for each: truths come again with every kernel and method."""

    def __init__(self, function):
        self._function, self._known = function, {}

    def __call__(self, image):
        key = hashlib.sha256(np.ascontiguousarray(image)).digest()
        if key not in self._known:
            self._known[key] = self._function(image)
        return self._known[key]


class Quality:
    """PSNR in dB, capped at 60, SSIM in both definitions, and colour shift in percent of the full range."""

    name = "quality"
    of = {"psnr_cap": PSNR_CAP}

    def __call__(self, test_set, batch, restored):
        truth, estimate = as_float(batch.sharp), as_float(restored)
        shift = np.abs(np.mean(estimate - truth, axis=(1, 2), dtype=np.float64)).mean(axis=1)
        return {
            "psnr": np.minimum(ops.convert_to_numpy(psnr(truth, estimate)), PSNR_CAP),
            "ssim": ops.convert_to_numpy(ssim(truth, estimate)),
            "ssim_volume": ops.convert_to_numpy(ssim_volume(truth, estimate)),
            "colour_shift": 100 * shift,
        }


class ByClass:
    """PSNR and SSIM in the four classes of UMSN; needs labels."""

    name = "classes"
    of: dict[str, str] = {}

    def __call__(self, test_set, batch, restored):
        if test_set.labels is None:
            return {}
        found = quality_by_class(as_float(batch.sharp), as_float(restored), test_set.labels[batch.faces])
        return {
            f"{measure} {name}": values[index]
            for name, values in found.items()
            for index, measure in enumerate(("psnr", "ssim"))
        }


class Parsing:
    """Pixels of each component that a parser labels right, and those of truth and estimate; needs labels.

    Args:
        parser: a model of kind "parser" with eleven classes.
        of: what identifies it.
    """

    name = "parsing"

    def __init__(self, parser, of):
        self._parser, self.of = parser, of

    def __call__(self, test_set, batch, restored):
        if test_set.labels is None:
            return {}
        found = self._parser.parse(restored, len(restored))
        counts = np.stack([confusion(t, e) for t, e in zip(test_set.labels[batch.faces], found, strict=True)])
        columns = {}
        for name, members in PARSED.items():
            group = np.isin(np.arange(CLASSES), members).astype(np.int64)
            columns[f"hits {name}"] = np.einsum("i,nij,j->n", group, counts, group)
            columns[f"size {name}"] = np.einsum("nij,i->n", counts, group) + np.einsum("nij,j->n", counts, group)
        return columns


class Identity:
    """Cosine and distance of identity embeddings, and the rank of a face's person in a gallery.

    Args:
        embed: function of float32 (N, H, W, 3) in [0, 1] to embeddings (N, D), by the name of a region; see
            ``identity_networks``.
        of: what identifies the network and the gallery.
        gallery: (pictures uint8 (M, 128, 128, 3), people), or None: the sharp faces of the test set.
    """

    name = "identity"

    def __init__(self, embed, of, gallery=None):
        self._embed, self.of, self._gallery_pictures = embed, of, gallery
        self._galleries, self._truths = {}, {}

    def embeddings(self, test_set, images):
        """Embeddings of pictures of a test set, float32 (N, D)."""
        return ops.convert_to_numpy(self._embed(as_float(images), OPTIONS[test_set.name].region))

    def __call__(self, test_set, batch, restored):
        known = self._truths.setdefault(
            test_set.name, Remembered(lambda image: self.embeddings(test_set, image[None])[0])
        )
        truth = np.stack([known(image) for image in batch.sharp])
        estimate = self.embeddings(test_set, restored)
        cosine = ops.convert_to_numpy(identity_cosine(truth, estimate))
        return {
            "identity_cosine": cosine,
            "identity_distance": np.sqrt(np.maximum(2 - 2 * cosine.astype(np.float64), 0)),
            "rank": self._ranks(test_set, batch, estimate),
        }

    def _ranks(self, test_set, batch, embeddings):
        gallery, people, of_test_set = self._gallery(test_set)
        # Real motion's faces are nobody's in the folder.
        names = test_set.people if test_set.face_names(batch)[0] in set(test_set.names) else None
        probes = [names[face] if names else None for face in batch.faces]
        asked = np.array([person in people and face not in of_test_set for person, face in zip(
            probes, batch.faces, strict=True)])  # fmt: skip
        found = np.full(len(probes), np.nan)
        # Among one person every face is the first.
        if asked.any() and len(set(people)) > 1:
            found[asked] = ranks(embeddings[asked], np.array(probes)[asked], gallery, people)
        return found

    def _gallery(self, test_set):
        """(embeddings, people, indices of faces of the test set that are in it and of no use as probes)."""
        if test_set.name not in self._galleries:
            if self._gallery_pictures is not None:
                images, people = self._gallery_pictures
                rows, columns = OPTIONS[test_set.name].region or (slice(None), slice(None))
                images, taken = images[:, rows, columns], []
            else:
                # A person's first picture; of a flat folder all, and each is its own probe.
                first = {person: index for index, person in reversed(list(enumerate(test_set.people)))}
                indices = sorted(first.values())
                images, people = test_set.faces[indices], [test_set.people[index] for index in indices]
                taken = indices if len(indices) < len(test_set.people) else []
            embeddings = np.concatenate(
                [self.embeddings(test_set, images[start : start + 16]) for start in range(0, len(images), 16)]
            )
            self._galleries[test_set.name] = embeddings, list(people), set(taken)
        return self._galleries[test_set.name]


class Detection:
    """Whether the detector finds the face where it found it in the sharp picture.

    Args:
        detect: function of a uint8 picture that returns a list of ``Face``; the first is the largest.
    """

    name, of = "detection", {"overlap": OVERLAP}

    def __init__(self, detect):
        self._detect = detect
        self._truth = Remembered(lambda image: next(iter(detect(image)), None))

    def __call__(self, test_set, batch, restored):
        found = np.full(len(restored), np.nan)
        for index, (sharp, image) in enumerate(zip(batch.sharp, restored, strict=True)):
            truth = self._truth(sharp)
            if truth is not None:
                faces = [truth] if np.array_equal(sharp, image) else self._detect(image)
                found[index] = any(_overlap(face.box, truth.box) >= OVERLAP for face in faces)
        return {"detected": found}


class Landmarks:
    """Error of 68 landmarks, found in the restored picture with the sharp one's box.

    Args:
        finder: ``deblur_zoo.faces.dlib_networks.DlibNetworks``.
    """

    name, of = "landmarks", {"points": "dlib's 68"}

    def __init__(self, finder):
        self._finder, self._box = finder, Remembered(finder.box)
        self._truth = Remembered(lambda image: finder.points(image, self._box(image)))

    def __call__(self, test_set, batch, restored):
        truth = np.stack([self._truth(image) for image in batch.sharp])
        found = np.stack([self._finder.points(e, self._box(t)) for t, e in zip(batch.sharp, restored, strict=True)])
        return {"landmark_error": landmark_error(truth, found)}


class FeatureDistance:
    """Mean squared difference of VGG-Face features, d_VGG.

    Args:
        network: a ``FeatureNetwork``.
        of: what identifies it.
    """

    name = "features"

    def __init__(self, network, of):
        self._network, self.of = network, of

    def __call__(self, test_set, batch, restored):
        pairs = [self._network.features(as_float(images)) for images in (batch.sharp, restored)]
        distances = [
            np.mean(np.square(ops.convert_to_numpy(pairs[0][name]) - ops.convert_to_numpy(pairs[1][name])), (1, 2, 3))
            for name in pairs[0]
        ]
        return {"feature_distance": np.sum(distances, axis=0)}


def identity_networks(path):
    """Embeddings by a Keras network for each region of the crop that protocols use.

    Args:
        path: as for ``IdentityNetwork``, whose errors it raises; or "dlib".

    Returns:
        function of (float32 pictures in [0, 1], region) to embeddings (N, D).
    """
    if path == "dlib":
        from deblur_zoo.faces.dlib_networks import DlibNetworks

        networks = DlibNetworks()
        return lambda images, region: networks.embeddings(np.rint(np.asarray(images) * 255).astype(np.uint8))
    rows, columns = ONE_STEP_REGION
    region = (rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
    known = {None: compiled(IdentityNetwork(path))}

    def embed(images, of_region):
        if of_region is not None and "region" not in known:
            known["region"] = compiled(IdentityNetwork(path, region=region))
        return known[None if of_region is None else "region"](images)

    return embed


def _overlap(box, other):
    """Intersection over union of two boxes: left, top, right, bottom."""
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    common = np.prod(np.maximum(high - low, 0))
    return common / (np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]) - common)
