"""The pixels of a video's frames: from their planes to upright RGB, and changes back to the planes.

A frame is never converted to RGB and back. Only what restoration changes is converted, and added to the planes as they
were decoded, so every other pixel keeps its value, at 8 or 10 bits, in whatever colour space.
"""

import contextlib
import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from deblur_zoo.annotations import Array

with contextlib.suppress(ImportError):
    # An extra; clip_file.py says so where it is missing.
    import av

# By the numbers of ITU-T H.273, which FFmpeg uses: weights of red and blue in luma, and swscale's number.
_MATRICES = {
    1: (0.2126, 0.0722, 1),
    4: (0.30, 0.11, 4),
    5: (0.299, 0.114, 5),
    6: (0.299, 0.114, 5),
    7: (0.212, 0.087, 7),
    9: (0.2627, 0.0593, 9),
}
_BT709, _RGB, _UNSPECIFIED, _BT601 = 1, 0, 2, 6
_LIMITED, _FULL = 1, 2
# Bicubic, FULL_CHR_H_INT, FULL_CHR_H_INP, ACCURATE_RND: exact arithmetic rather than the fastest.
_EXACT = 4 | 0x2000 | 0x4000 | 0x40000


@dataclass(frozen=True)
class PixelFormat:
    """How the frames of a video store colours, and how they are shown.

    Attributes:
        name: FFmpeg's name of the planar YUV format in which frames are kept and encoded.
        depth: bits a value, 8 or 10.
        matrix: number of H.273 by which RGB and YUV are converted.
        full_range: values use all of their range, and not 16 to 235.
        tagged_matrix, tagged_range: what the written file states; 2 and 0 where the source says nothing.
        quarter_turns: counterclockwise, by which stored frames are turned to be upright.
        size: (width, height) of an upright frame with square pixels.
        square: stored pixels are square.
    """

    name: str
    depth: int
    matrix: int
    full_range: bool
    tagged_matrix: int
    tagged_range: int
    quarter_turns: int
    size: tuple[int, int]
    square: bool

    def planes(self, frame: "av.VideoFrame") -> list[Array]:
        """Copies of the three planes of a decoded frame, uint8 or uint16, as they are stored."""
        return [plane.copy() for plane in _views(self._kept(frame))]

    def _kept(self, frame):
        """The frame in the format ``name``."""
        if frame.format.name.replace("yuvj", "yuv") == self.name:
            return frame
        return _reformatter().reformat(frame, format=self.name, interpolation=_EXACT, threads=1, **self._source(frame))

    def _source(self, frame):
        own = _MATRICES[self.matrix][2]
        wanted = _FULL if self.full_range else _LIMITED
        # RGB has no other range; so do grey frames, by FFmpeg's convention.
        of_frame = wanted if _is_yuv(frame.format) else _FULL
        return {
            "src_colorspace": own,
            "dst_colorspace": own,
            "src_color_range": of_frame,
            "dst_color_range": wanted,
        }

    def rgb(self, frame: "av.VideoFrame", depth: int | None = None) -> Array:
        """A frame upright with square pixels, (H, W, 3): uint8, or uint16 where ``depth`` is above 8.

        Args:
            frame: as decoded.
            depth: of the result; that of the video unless given.
        """
        eight = (depth or self.depth) == 8
        # Not rgb48: swscale's is wrong for some layouts with some of these options.
        format = "rgb24" if eight else "gbrp10le"
        source = {**self._source(frame), "dst_color_range": _FULL}
        picture = _reformatter().reformat(frame, format=format, interpolation=_EXACT, threads=1, **source)
        pixels = picture.to_ndarray()
        upright = np.rot90(pixels if eight else pixels << 6 | pixels >> 4, self.quarter_turns)
        if not self.square:
            upright = cv2.resize(np.ascontiguousarray(upright), self.size, interpolation=cv2.INTER_CUBIC)
        return np.ascontiguousarray(upright)

    def add(self, planes: list[Array], place: tuple[slice, slice], change: Array) -> None:
        """Add a change of RGB to a frame's planes, in place.

        Args:
            planes: as ``planes`` gives them; changed.
            place: (rows, columns) of the upright frame.
            change: float32 (h, w, 3), RGB in units of the full range; what is 0 leaves its pixel as it is.
        """
        upright = [np.rot90(plane, self.quarter_turns) for plane in planes]
        height, width = upright[0].shape
        steps = height // upright[1].shape[0], width // upright[1].shape[1]
        if self.square:
            # Chroma has one value for several pixels: the rectangle begins and ends with whole ones.
            starts = [part.start // step * step for part, step in zip(place, steps, strict=True)]
            stops = [-(-part.stop // step) * step for part, step in zip(place, steps, strict=True)]
            edges = [(part.start - a, b - part.stop) for part, a, b in zip(place, starts, stops, strict=True)]
            change = np.pad(change, (*edges, (0, 0)))
        else:
            whole = np.zeros((self.size[1], self.size[0], 3), np.float32)
            whole[place] = change
            change = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
            starts, stops = [0, 0], [height, width]
        change = change @ self._rgb_to_yuv().T
        for index, plane in enumerate(upright):
            step = (1, 1) if index == 0 else steps
            rows, columns = (slice(a // s, b // s) for a, b, s in zip(starts, stops, step, strict=True))
            part = np.ascontiguousarray(change[..., index])
            if step != (1, 1):
                size = columns.stop - columns.start, rows.stop - rows.start
                part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
            region = plane[rows, columns]
            region[...] = np.clip(np.rint(region + part), 0, 2**self.depth - 1).astype(plane.dtype)

    def _rgb_to_yuv(self):
        """(3, 3), from a change of RGB in units of the full range to one of Y, Cb and Cr in code values."""
        red, blue, _ = _MATRICES[self.matrix]
        luma = np.array([red, 1 - red - blue, blue])
        rows = [luma, ([0, 0, 1] - luma) / (2 * (1 - blue)), ([1, 0, 0] - luma) / (2 * (1 - red))]
        peak = 2**self.depth - 1
        scales = [peak] * 3 if self.full_range else np.array([219, 224, 224]) * 2 ** (self.depth - 8)
        return (np.array(rows) * np.array(scales)[:, None]).astype(np.float32)

    def frame(self, planes: list[Array]) -> "av.VideoFrame":
        """A new frame with these planes."""
        frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], self.name)
        for view, plane in zip(_views(frame), planes, strict=True):
            view[...] = plane
        frame.colorspace, frame.color_range = self.tagged_matrix, self.tagged_range
        return frame


def pixel_format(frame: "av.VideoFrame", aspect: Any) -> PixelFormat:
    """How a video stores colours, by its first frame.

    Args:
        frame: as decoded.
        aspect: width of a pixel by its height, a Fraction; None or 0 if unknown.

    Raises:
        ValueError: a kind of frame that is not supported.
    """
    components = frame.format.components
    if frame.format.name.startswith("xyz") or any(plane.line_size < 0 for plane in frame.planes):
        raise ValueError(f"has frames of a kind that is not supported ({frame.format.name}).")
    if any(component.is_alpha for component in components) and frame.format.name not in ("bgra", "rgba"):
        raise ValueError("has transparency, which is not supported.")
    if frame.interlaced_frame:
        raise ValueError("is interlaced, which is not supported: deinterlace it first.")
    depth = 8 if max(component.bits for component in components) <= 8 else 10
    yuv, grey = _is_yuv(frame.format), _is_grey(frame.format)
    if yuv:
        chroma = components[1]
        across, down = (round(a / b) for a, b in ((frame.width, chroma.width), (frame.height, chroma.height)))
    else:
        across, down = (2, 2) if grey else (1, 1)
    # H.264 has no frames of 4:2:0 with odd sides.
    halves = frame.width % across == 0 and frame.height % down == 0
    layout = {(2, 2): "420", (2, 1): "422"}.get((across, down), "444") if halves else "444"
    tagged_matrix, tagged_range = int(frame.colorspace), int(frame.color_range)
    matrix = tagged_matrix
    if not yuv and not grey:
        matrix = tagged_matrix = _BT709
        tagged_range = _LIMITED
    elif tagged_matrix in (_UNSPECIFIED, _RGB):
        # What players assume; the written file says as little as the source.
        matrix = _BT709 if frame.width >= 1280 or frame.height > 576 else _BT601
    if matrix not in _MATRICES:
        raise ValueError(f"has colours of a kind that is not supported (matrix {matrix} of ITU-T H.273).")
    full = tagged_range == _FULL or frame.format.name.startswith("yuvj") or grey
    turns = round((frame.rotation or 0) / 90) % 4
    width, height = (frame.width, frame.height)[:: -1 if turns % 2 else 1]
    aspect = float(aspect or 1)
    square = abs(aspect - 1) < 0.01
    if not square:
        stretch = 1 / aspect if turns % 2 else aspect
        width, height = (round(width * stretch), height) if stretch > 1 else (width, round(height / stretch))
    return PixelFormat(
        name=f"yuv{layout}p" + ("10le" if depth == 10 else ""),
        depth=depth,
        matrix=matrix,
        full_range=full,
        tagged_matrix=tagged_matrix,
        tagged_range=_FULL if full else tagged_range,
        quarter_turns=turns,
        size=(width, height),
        square=square,
    )


def _is_yuv(format):
    return len(format.components) >= 3 and not format.is_rgb


def _is_grey(format):
    return len(format.components) == 1 and not format.is_rgb and not format.has_palette


def _views(frame):
    """Arrays on the planes of a frame, without the padding of their rows."""
    views = []
    for plane, component in zip(frame.planes, frame.format.components, strict=True):
        kind = np.uint8 if component.bits <= 8 else np.uint16
        rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
        views.append(rows[:, : plane.width])
    return views


@functools.lru_cache(maxsize=1)
def _reformatter():
    return av.video.reformatter.VideoReformatter()
