"""One face of a video: what is decided for all of its frames, and its frames blended over time."""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from deblur_zoo.annotations import Array
from deblur_zoo.restoration.face_crop import crop_of, size_of
from deblur_zoo.restoration.working_size import face_corrections

# A face is looked at closely in at most so many frames, spread evenly over them all.
_MOST_SAMPLES = 8
# A face is blurred if it is in this share of them.
_BLURRED_SHARE = 0.25
# Frames over which the restoration of a face fades in and out where it comes and goes within a shot.
_FADE = 8
# Crops of successive frames are compared after a Gaussian of this sigma in pixels, which noise hardly passes. Up to the
# first difference, in [0, 1], they show the same and are averaged; from the second on, only the newest one counts.
_SMOOTHING = 1.5
_SAME, _CHANGED = 0.006, 0.02
# The newest frame's share of the average.
_NEWEST = 0.2


@dataclass(frozen=True)
class _Sample:
    size: float
    working_size: int
    blurred: bool
    blur: float


@dataclass
class Survey:
    """Looks at a face now and then while it is followed, and decides for all of its frames at once."""

    samples: list[_Sample] = field(default_factory=list)
    _seen: int = 0
    _stride: int = 1

    def offer(self, pixels: Array, points: Array, restore: Callable[[Array], Array]) -> None:
        """Look at the face in a frame if it is its turn.

        Args:
            pixels: uint8 (H, W, 3), the frame.
            points: (5, 2), the face.
            restore: the network, float32 (N, S, S, 3) in [0, 1] to the same.
        """
        self._seen += 1
        if (self._seen - 1) % self._stride or size_of(points) < 8:
            return
        self.samples.append(_sample(pixels, points, restore))
        if len(self.samples) > _MOST_SAMPLES:
            self.samples = self.samples[::2]
            self._stride *= 2

    @property
    def size(self) -> float:
        """Median size of the face in pixels of the frame; 0 for one too small to be looked at."""
        return float(np.median([sample.size for sample in self.samples])) if self.samples else 0.0

    @property
    def _blurred(self):
        return [sample for sample in self.samples if sample.blurred]

    @property
    def blurred(self) -> bool:
        """Whether the face is blurred in more than a few of its frames."""
        return len(self._blurred) >= max(1.0, _BLURRED_SHARE * len(self.samples))

    @property
    def working_size(self) -> int:
        """Side in pixels at which the network sees the face."""
        sizes = sorted(sample.working_size for sample in self._blurred or self.samples)
        return sizes[(len(sizes) - 1) // 2]

    @property
    def blur(self) -> float:
        """Median length of the blur in pixels of the frame, as for photos; 0 for a sharp face."""
        return float(np.median([sample.blur for sample in self._blurred])) if self.blurred else 0.0


def _sample(pixels, points, restore):
    size = size_of(points)
    (correction,) = face_corrections(lambda _, side: crop_of(pixels, points, side), [size], restore)
    return _Sample(size, correction.size, correction.blurred, correction.blur.length * size / correction.size)


class BlendedFace:
    """The crops of one face, frame after frame, averaged over time where they show the same.

    A crop follows its face, so most of it stands still while the face moves. Noise and what the network makes of it
    differ from frame to frame and would flicker; the average does not. Where something moves within the face, the
    newest frame counts alone, so nothing is seen twice.
    """

    def __init__(self) -> None:
        self._crop: Array | None = None
        self._restored: Array | None = None

    def correction(self, crop: Array, restored: Array) -> Array:
        """What to add to the next frame's crop.

        Args:
            crop: float32 (S, S, 3) in [0, 1], as the frame shows it.
            restored: the network's result for it.

        Returns:
            float32 (S, S, 3).
        """
        if self._crop is None or self._restored is None:
            self._crop, self._restored = crop, restored
        else:
            change = cv2.GaussianBlur(crop - self._crop, (0, 0), _SMOOTHING)
            share = np.clip((np.abs(change).max(axis=2) - _SAME) / (_CHANGED - _SAME), 0, 1)
            share = cv2.GaussianBlur(cv2.dilate(share, np.ones((5, 5), np.uint8)), (0, 0), _SMOOTHING)
            newest = (_NEWEST + (1 - _NEWEST) * share)[..., None]
            self._crop = self._crop + newest * (crop - self._crop)
            self._restored = self._restored + newest * (restored - self._restored)
        return self._restored - crop


def fade(index: int, count: int, starts_with_shot: bool, ends_with_shot: bool) -> float:
    """Strength in (0, 1] of a face in a frame: it rises where the face comes into the shot, and falls where it leaves.

    Args:
        index: of the frame, from 0.
        count: the face's frames.
        starts_with_shot, ends_with_shot: as for ``FaceTrack``.
    """
    rise = 1.0 if starts_with_shot else (index + 1) / _FADE
    fall = 1.0 if ends_with_shot else (count - index) / _FADE
    return min(1.0, rise, fall)
