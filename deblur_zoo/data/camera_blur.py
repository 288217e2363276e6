"""Training pairs with the blur of real cameras and moving people, rendered on the host.

``host_synthesis`` makes the papers' pairs: one kernel for the whole image, stored values, Gaussian noise. Here the blur
applies to light, may vary over the image, and is followed by a sensor and a file format.
"""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from deblur_zoo.blur import light, motion
from deblur_zoo.blur.defocus import disc_kernel
from deblur_zoo.data import host_blur, host_synthesis, moving_picture
from deblur_zoo.data.kernel_mixture import pick
from deblur_zoo.face_classes import UNKNOWN, FaceClass

# Part of every sample's seed: never renumber.
KIND_CODES = {"kernel": 1, "turning": 2, "moving_face": 3, "moving_background": 4, "expression": 5, "defocus": 6}


@dataclass(frozen=True)
class CameraBlur:
    """Which camera-like pairs are drawn, and how strong their degradations are.

    Attributes:
        share: probability that a face becomes such a pair rather than one of the papers' kind.
        kinds: probability of each kind, normalised. "kernel": one kernel for the whole image; "turning": the camera
            rotates, zooms and shifts; "moving_face": the face moves in front of a still background;
            "moving_background": the camera follows the face; "expression": parts of the face move; "defocus": a
            disc, half of the time after a kernel.
        linear_light: probability that light is blurred instead of stored values.
        gain: (lowest, highest) exposure under ``linear_light``; above 1, highlights are clipped in both images.
        turn, zoom, shift: largest rotation in degrees, relative zoom, and shift in pixels of a 128-pixel crop, from one
            end of a path to the other.
        expression: largest motion of a part of the face, in pixels of a 128-pixel crop.
        defocus: (smallest, largest) radius of the disc in pixels.
        noise: (smallest, largest) standard deviation of photon and read noise together at middle grey, on the [0, 1]
            scale; interpolated by the square of a uniform number, so that weak noise is more frequent.
        resize: (lowest, highest) factor by which an image is downscaled and upscaled again, and its probability.
        jpeg: (lowest, highest) quality of JPEG compression, and its probability. If the image is also resized, it is
            compressed before or after the upscaling, with equal probability.

    Raises:
        ValueError: an unknown kind, or a number out of range.
    """

    share: float = 0.6
    kinds: dict = field(
        default_factory=lambda: {
            "kernel": 0.45, "turning": 0.25, "moving_face": 0.08, "moving_background": 0.05, "expression": 0.07,
            "defocus": 0.1,
        }
    )  # fmt: skip
    linear_light: float = 0.6
    gain: tuple = (1.0, 1.2)
    turn: float = 8.0
    zoom: float = 0.06
    shift: float = 14.0
    expression: float = 8.0
    defocus: tuple = (0.5, 3.0)
    noise: tuple = (0.0, 0.08)
    resize: tuple = (0.5, 0.95)
    resize_share: float = 0.1
    jpeg: tuple = (35, 95)
    jpeg_share: float = 0.33

    def __post_init__(self):
        unknown = not isinstance(self.kinds, dict) or set(self.kinds) - set(KIND_CODES)
        if unknown or not self.kinds or min(self.kinds.values()) < 0 or not sum(self.kinds.values()) > 0:
            raise ValueError(
                f"Camera blur: kinds must be a table from {', '.join(KIND_CODES)} to shares of at least 0, at least "
                f"one above 0; got {self.kinds}."
            )
        for name in ("share", "linear_light", "resize_share", "jpeg_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Camera blur: {name} must be from 0 to 1, got {getattr(self, name)}.")
        limits = {"gain": (0.1, 10), "defocus": (0, 20), "noise": (0, 1), "resize": (0.1, 1), "jpeg": (1, 100)}
        for name, (lowest, highest) in limits.items():
            value = tuple(getattr(self, name))
            if len(value) != 2 or not lowest <= value[0] <= value[1] <= highest:
                raise ValueError(f"Camera blur: {name} must be a range within {lowest} to {highest}, got {value}.")
        for name in ("turn", "zoom", "shift", "expression"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"Camera blur: {name} must be at least 0, got {getattr(self, name)}.")

    def kind_code(self, generator):
        """The code of a sample's kind in ``KIND_CODES``, or 0 for one of the papers' kind."""
        camera, chosen = generator.uniform(size=2)
        if camera >= self.share:
            return 0
        return KIND_CODES[list(self.kinds)[pick(self.kinds.values(), chosen)]]


def render(face, matrix, code, generator, settings, kernels, size, labels=None):
    """Render one pair.

    Args:
        face: uint8 (H, W, 3), with a margin around the crop.
        matrix: int32 (2, 3), the geometric augmentation from ``augmentation.warp_matrix``.
        code: the kind of blur, a value of ``KIND_CODES``.
        generator: numpy.random.Generator from which everything about the pair is drawn.
        settings: CameraBlur.
        kernels: KernelMixture.
        size: side of the pair in pixels.
        labels: uint8 (H, W), the classes of the face's pixels, which give its outline; None for an ellipse.

    Returns:
        (blurred, sharp), uint8 (size, size, 3).
    """
    linear = generator.random() < settings.linear_light
    gain = generator.uniform(*settings.gain) if linear else 1.0

    def values(picture):
        return light.to_light(picture, gain) if linear else picture.astype(np.float32) / np.float32(255)

    scene = _Scene(face, matrix, size, values, labels, settings, kernels)
    blurred = _BLURS[code](scene, generator)
    sharp = host_synthesis.warp(face, matrix, size)
    if linear:
        sharp = light.expose(sharp, gain)
    else:
        # Convolution rounds a little below 0 in black areas.
        blurred = np.maximum(blurred, 0) ** np.float32(light.GAMMA)
    level = settings.noise[0] + (settings.noise[1] - settings.noise[0]) * generator.random() ** 2
    photon_share = generator.uniform(0.9, 1.0)
    noise = generator.standard_normal(blurred.shape, dtype=np.float32)
    blurred = light.add_sensor_noise(blurred, level, photon_share, noise)
    stored = host_synthesis.round_to_bytes(light.to_levels(blurred))
    return _through_files(stored, generator, settings), sharp


def _through_files(picture, generator, settings):
    """Resize and compress an image."""
    resized, factor, compressed, quality, early = generator.uniform(size=5)
    resized, compressed, early = resized < settings.resize_share, compressed < settings.jpeg_share, early < 0.5
    quality = round(settings.jpeg[0] + (settings.jpeg[1] - settings.jpeg[0]) * quality)
    size = picture.shape[0]
    if resized:
        factor = settings.resize[0] + (settings.resize[1] - settings.resize[0]) * factor
        small = max(8, round(factor * size))
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        if compressed and early:
            picture = host_blur.jpeg(picture, quality)
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC)
    if compressed and not (resized and early):
        picture = host_blur.jpeg(picture, quality)
    return picture


@dataclass(frozen=True)
class _Scene:
    """Inputs of a kind of blur; ``values`` turns a uint8 image into float32 light or stored values."""

    face: np.ndarray
    matrix: np.ndarray
    size: int
    values: object
    labels: np.ndarray | None
    settings: CameraBlur
    kernels: object

    @property
    def affine(self):
        """The augmentation as float64 (2, 3)."""
        return self.matrix / 65536.0

    @property
    def unit(self):
        """Pixels of this crop per pixel of a 128-pixel crop."""
        return self.size / 128

    def around(self, margin):
        """The augmented face with a margin on every side, in float32."""
        matrix = self.matrix.copy()
        matrix[:, 2] -= margin * (matrix[:, 0] + matrix[:, 1])
        return self.values(host_synthesis.warp(self.face, matrix, self.size + 2 * margin))

    def path(self, generator, strength):
        """A random camera motion: function of times (T,) that returns matrices (T, 2, 3) in the crop's pixels."""
        settings = self.settings
        along = motion.smooth_path(generator, 4)
        turn, zoom, *shift = strength * generator.uniform(-1, 1, 4)
        centre = self.size * generator.uniform(0, 1, 2)

        def place(times):
            values = along(times)
            return motion.similarity(
                math.radians(settings.turn * turn) * values[:, 0],
                settings.zoom * zoom * values[:, 1],
                settings.shift * self.unit * np.array(shift) * values[:, 2:],
                centre,
            )

        return place

    def still(self):
        """The matrix of static content, (1, 2, 3)."""
        return self.affine[None]

    def moving(self, generator, strength):
        """Matrices (T, 2, 3) of a random motion, output pixel to the face's position."""
        place = self.path(generator, strength)
        return motion.compose(
            self.affine, place(motion.exposure_times(lambda times: motion.corners(place(times), self.size)))
        )


def _convolve(picture, kernel, size):
    """The middle of an image, convolved; it needs a margin of at least half the kernel."""
    blurred = host_blur.blur(picture[None], [kernel], threads=1)[0]
    margin = (len(picture) - size) // 2
    return blurred[margin : margin + size, margin : margin + size]


def _kernel(scene, generator):
    kernel = scene.kernels.draw(generator)
    return _convolve(scene.around(len(kernel) // 2), kernel, scene.size)


def _defocus(scene, generator):
    disc = disc_kernel(generator.uniform(*scene.settings.defocus))
    kernel = scene.kernels.draw(generator) if generator.random() < 0.5 else np.ones((1, 1), np.float32)
    inner = scene.size + 2 * (len(disc) // 2)
    picture = scene.around(len(disc) // 2 + len(kernel) // 2)
    return _convolve(_convolve(picture, kernel, inner), disc, scene.size)


def _turning(scene, generator):
    matrices = scene.moving(generator, generator.random())
    return moving_picture.mean_of_warps(scene.values(scene.face), matrices, scene.size)


def _moving_face(scene, generator):
    matrices = scene.moving(generator, 1.5 * generator.random())
    mask = outline(scene.labels, scene.face.shape[0], scene.size, generator)
    return moving_picture.mean_of_layers(scene.values(scene.face), mask, matrices, scene.still(), scene.size)


def _moving_background(scene, generator):
    matrices = scene.moving(generator, 2 * generator.random())
    mask = outline(scene.labels, scene.face.shape[0], scene.size, generator)
    return moving_picture.mean_of_layers(scene.values(scene.face), mask, scene.still(), matrices, scene.size)


def _expression(scene, generator):
    parts = int(generator.integers(1, 4))
    along = motion.smooth_path(generator, parts)
    fields = [
        motion.bump(
            scene.size,
            scene.size * generator.uniform(0.25, 0.75, 2),
            scene.size * generator.uniform(0.06, 0.18),
            scene.settings.expression * scene.unit * generator.uniform(-1, 1, 2),
        )
        for _ in range(parts)
    ]
    # Every part at its strongest position.
    reach = np.array([np.linalg.norm(part, axis=2).max() for part in fields])
    times = motion.exposure_times(lambda times: np.stack([along(times) * reach] * 2, axis=1) / math.sqrt(2))
    return moving_picture.mean_of_displacements(
        scene.values(scene.face), scene.affine, np.stack(fields), along(times), scene.size
    )


_BLURS = {
    KIND_CODES[kind]: blur
    for kind, blur in {
        "kernel": _kernel,
        "turning": _turning,
        "moving_face": _moving_face,
        "moving_background": _moving_background,
        "expression": _expression,
        "defocus": _defocus,
    }.items()
}


def outline(labels, side, size, generator):
    """Mask of the head.

    Args:
        labels: uint8 (side, side), the classes of ``faces.face_classes``, or None.
        side: of the face in pixels, including its margin.
        size: of the canonical crop in its middle, in pixels.
        generator: numpy.random.Generator for the ellipse used when labels are missing or insufficient.

    Returns:
        float32 (side, side) in [0, 1], with an edge about two pixels wide.
    """
    centre, radii = np.array([0.5, 0.47]), np.array([0.36, 0.48])
    centre, radii = centre + generator.uniform(-0.03, 0.03, 2), radii * generator.uniform(0.9, 1.1, 2)
    head = None if labels is None else ((labels != FaceClass.BACKGROUND) & (labels != UNKNOWN)).astype(np.float32)
    if head is None or head.mean() < 0.1:
        position = (np.arange(side) - (side - size) / 2 + 0.5) / size
        distance = ((position - centre[0]) / radii[0])[None] ** 2 + ((position - centre[1]) / radii[1])[:, None] ** 2
        head = (distance <= 1).astype(np.float32)
    else:
        head = cv2.morphologyEx(head, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return cv2.GaussianBlur(head, (0, 0), size / 128)
