"""A whole photo in, the same photo with its faces deblurred out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.faces.acceptance import main_face
from deblur_zoo.faces.detection import Face
from deblur_zoo.files import pictures
from deblur_zoo.restoration.blending import add_correction
from deblur_zoo.restoration.blur_size import mismatch
from deblur_zoo.restoration.face_crop import crop_of, matrix_of, size_of
from deblur_zoo.restoration.face_search import find_faces
from deblur_zoo.restoration.tiles import add_background, photo_scale, restore_tiled, shrunk
from deblur_zoo.restoration.working_size import Correction, face_corrections

# What restores unless another is asked for: the best preset that takes less than 0.1 s for a face on two cores.
DEFAULT_PRESET = "one_step"
FACES = ("all", "largest", "centre")
BACKGROUNDS = ("keep", "restore")
# The longer side of the restored copy in which faces that blur hides are looked for.
_SECOND_LOOK_SIDE = 1280
# The surroundings of faces are restored where the blur of the largest one explains what the network changes in them
# better than _EXPLAINED, not at all from _UNEXPLAINED on: sharp surroundings of someone who moved, soft photos.
_EXPLAINED, _UNEXPLAINED = 0.2, 0.4
# Shares of the time for a large photo with one face, for the progress bar.
_DETECTED, _FACES_RESTORED = 0.1, 0.3


@dataclass(frozen=True)
class PhotoOptions:
    """What to restore in a photo, and how much.

    Attributes:
        faces: "all", "largest" or "centre" (large and near the middle).
        minimum_confidence: the detector's, in [0, 1], below which a face is ignored.
        minimum_size: pixels of the photo that a face must cover; smaller ones are ignored.
        strength: 0 leaves the photo as it is, 1 takes the network's result.
        background: "restore" runs the network over the rest of a photo whose faces are blurred, and uses the result if
            the rest shares the largest face's blur; "keep" leaves every pixel outside the faces as it is.
        sharp_faces: restore faces that look sharp as well.

    Raises:
        ValueError: a value outside its range.
    """

    faces: str = "all"
    minimum_confidence: float = 0.9
    minimum_size: int = 24
    strength: float = 1.0
    background: str = "restore"
    sharp_faces: bool = False

    def __post_init__(self):
        for name, accepted in (("faces", FACES), ("background", BACKGROUNDS)):
            if getattr(self, name) not in accepted:
                raise ValueError(f"{name} must be one of {', '.join(accepted)}, not {getattr(self, name)!r}.")
        for name in ("minimum_confidence", "strength"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)!r}.")
        if self.minimum_size < 1:
            raise ValueError(f"minimum_size must be at least 1 pixel, not {self.minimum_size!r}.")


@dataclass
class PhotoFace:
    """One face of a photo.

    Attributes:
        box: float64 (4,): left, top, right, bottom in pixels of the photo.
        points: float64 (5, 2), (x, y) of the eyes, the nose and the corners of the mouth.
        confidence: the detector's, in [0, 1].
        size: pixels of the photo that the canonical crop covers.
        matrix: (2, 3), photo to the crop at ``working_size``.
        working_size: side in pixels at which the network saw the face.
        sharpness: PSNR in dB between the face and its restoration; a sharp face hardly changes. At most 60.
        blur: length in pixels of the photo of the straight motion that would blur as much; 0 for a face left alone.
        restored: whether the face was changed; False for one that is sharp.
    """

    box: Array
    points: Array
    confidence: float
    size: float
    matrix: Array
    working_size: int
    sharpness: float
    blur: float
    restored: bool


@dataclass
class RestoredPhoto:
    """A restored photo.

    Attributes:
        pixels: of the photo's shape and size; uint8, for a photo of 16 bits uint16.
        faces: list of ``PhotoFace``, the largest first.
        seconds: time in seconds of each stage: "detection", "restoration", "background", "blending".
        source: the photo as it was read, if there is one.
    """

    pixels: Array
    faces: list[PhotoFace] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    source: pictures.Picture | None = None

    def save(self, path: StrPath, quality: int | None = None) -> None:
        """Write the picture with the colour profile, EXIF data and resolution of its source.

        Args:
            path: its ending names the format; PNG and TIFF keep 16 bits.
            quality: 1 to 100, of JPEG and WebP; unless given, JPEG has 95 and WebP is lossless.

        Raises:
            ValueError: an unknown ending.
            OSError: the file cannot be written.
        """
        if self.source is None:
            pictures.load(self.pixels).save_pixels(path, self.pixels, quality)
        else:
            self.source.save_pixels(path, self.pixels, quality)


def restore_photo(
    pixels: Array,
    restore: Callable[[Array], Array],
    options: PhotoOptions | None = None,
    detector: Callable[[Array], list[Face]] | None = None,
    progress: Callable[[float], object] | None = None,
) -> RestoredPhoto:
    """Find the faces of a photo, restore each at its best working size, and blend them back.

    Args:
        pixels: uint8 or uint16 (H, W, 3) RGB, upright or not; not changed.
        restore: function of float32 (N, H, W, 3) in [0, 1] to the same: the network.
        options: ``PhotoOptions()`` unless given.
        detector: a ``deblur_zoo.faces.Detector``.
        progress: called with the share that is done, in [0, 1].

    Returns:
        RestoredPhoto.
    """
    options = options or PhotoOptions()
    clock = _Clock()
    progress = progress or (lambda share: None)
    eight_bit = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    found = find_faces(
        eight_bit,
        detector,
        lambda: _restored_copy(eight_bit, restore, lambda share: progress(_DETECTED * share)),
        options.minimum_confidence,
    )
    found = _selected(found, pixels.shape, options)
    clock.lap("detection")
    progress(_DETECTED)
    sizes = [size_of(face.points) for face in found]
    corrections = face_corrections(lambda index, size: crop_of(pixels, found[index].points, size), sizes, restore)
    faces = [_describe(*each, options) for each in zip(found, sizes, corrections, strict=True)]
    clock.lap("restoration")
    progress(_FACES_RESTORED)
    result = pixels.copy()
    if options.background == "restore" and options.strength > 0:
        blurred = [index for index, correction in enumerate(corrections) if correction.blurred]
        if blurred:
            scale = min(1.0, float(np.median([faces[index].working_size / faces[index].size for index in blurred])))
            rest = 1 - _FACES_RESTORED
            largest = faces[blurred[0]], corrections[blurred[0]]
            add_background(
                result,
                restore,
                scale,
                options.strength,
                lambda share: progress(_FACES_RESTORED + rest * share),
                lambda rows, residual: _trust(rows, residual, *largest, scale, faces),
            )
    clock.lap("background")
    for face, correction in zip(faces, corrections, strict=True):
        if face.restored:
            add_correction(result, pixels, correction.residual, face.matrix, options.strength)
    clock.lap("blending")
    progress(1)
    return RestoredPhoto(result, faces, clock.seconds)


def _restored_copy(pixels, restore, progress):
    """The whole photo restored at the size that suits its blur, uint8; None if the network changes next to nothing."""
    scale = photo_scale(pixels, restore)
    if scale is None:
        return None
    scale = min(scale, _SECOND_LOOK_SIDE / max(pixels.shape[:2]))
    return np.rint(np.clip(restore_tiled(shrunk(pixels, scale), restore, progress), 0, 1) * 255).astype(np.uint8)


def _selected(faces, shape, options):
    faces = [face for face in faces if size_of(face.points) >= options.minimum_size]
    if options.faces == "largest":
        return faces[:1]
    if options.faces == "centre" and faces:
        return [main_face(faces, shape)]
    return faces


def _decibels(strength):
    return float(-20 * np.log10(max(strength, 1e-3)))


def _describe(face: Face, size: float, correction: Correction, options: PhotoOptions) -> PhotoFace:
    blurred = correction.blurred
    return PhotoFace(
        box=face.box,
        points=face.points,
        confidence=face.confidence,
        size=size,
        matrix=matrix_of(face.points, correction.size),
        working_size=correction.size,
        sharpness=_decibels(correction.strength),
        blur=correction.blur.length * size / correction.size if blurred else 0.0,
        restored=bool((blurred or options.sharp_faces) and options.strength > 0),
    )


def _trust(rows, residual, face, correction, scale, faces):
    """How far, in [0, 1], the surroundings share the blur of a face."""
    kernel = correction.blur.kernel(scale * face.size / face.working_size)
    boxes = np.array([other.box for other in faces]) * scale
    unexplained = mismatch(rows, residual, kernel, boxes)
    return float(np.clip((_UNEXPLAINED - unexplained) / (_UNEXPLAINED - _EXPLAINED), 0, 1))


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now
