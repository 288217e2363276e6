"""Read a video and write it again with other frames, by PyAV: FFmpeg inside a wheel.

Sound and subtitles are copied as they are. So are the times of the frames, how they are to be turned, the shape of
their pixels and what is stated about their colours.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from deblur_zoo.annotations import StrPath

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]  # an extra

# The kinds of file that are written, by ending, and FFmpeg's names for them.
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
ENDINGS = tuple(_FORMATS)
# Constant rate factors at which the loss is hard to see; x265's scale is about four higher.
_ENCODERS = {8: ("libx264", {"crf": "16"}), 10: ("libx265", {"crf": "18", "x265-params": "log-level=none"})}
# Describe the source's file and not its contents.
_NOT_COPIED = {"major_brand", "minor_version", "compatible_brands", "encoder"}


def check_available() -> None:
    """Raise ImportError, in a sentence, if PyAV is missing."""
    if av is None:
        raise ImportError("videos need PyAV: pip install 'deblur-zoo[video]'")


def check_ending(path: StrPath) -> None:
    """Raise ValueError for a path that is not to be written."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise ValueError(f"{path} must end in {', '.join(ENDINGS)}: other kinds of video are read but not written.")


def check_sound(source: "ClipReader", target: StrPath) -> None:
    """Raise ValueError if the kind of file that ``target`` names does not hold the source's sound."""
    with av.open(io.BytesIO(), "w", format=_FORMATS[Path(target).suffix.lower()]) as container:
        for stream in source.container.streams.audio:
            try:
                container.add_stream_from_template(stream)
            except ValueError:
                raise ValueError(
                    f"{source.path} has sound of a kind ({stream.codec_context.name}) that {target} cannot hold; .mkv "
                    "holds most kinds."
                ) from None


class ClipReader:
    """A video file, open for reading; closed at the end of a ``with`` block.

    Args:
        path: of the file.
        maximum_pixels: a video of larger frames is refused.

    Attributes:
        path: as given.
        container, stream: PyAV's, the stream of pictures.
        frames_expected: what the header says, an estimate; 0 if it does not say.
        seconds: length by the header; 0 if it does not say.
        seconds_read: end of the last frame that was decoded, from the video's start.
        rate: frames a second on average, a Fraction.
        damaged: packets that could not be decoded so far.

    Raises:
        FileNotFoundError: no such file.
        ImportError: PyAV is missing.
        ValueError: no video, or frames that are too large.
    """

    def __init__(self, path: StrPath, maximum_pixels: int) -> None:
        check_available()
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        try:
            # Names and texts in files need not be valid UTF-8. Only local files: a playlist may name others.
            self.container = av.open(
                str(self.path), metadata_errors="replace", container_options={"protocol_whitelist": "file"}
            )
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, PermissionError):
                raise
            raise ValueError(f"{path} cannot be read as a video.") from error
        try:
            self._choose(maximum_pixels)
        except BaseException:
            self.container.close()
            raise
        self.damaged = 0

    def _choose(self, maximum_pixels):
        covers = av.stream.Disposition.attached_pic | av.stream.Disposition.still_image
        videos = [stream for stream in self.container.streams.video if not stream.disposition & covers]
        if not videos:
            what = "has sound and no pictures" if self.container.streams.audio else "has no pictures"
            raise ValueError(f"{self.path} {what}: a video is needed.")
        (self.stream, *_) = [s for s in videos if s.disposition & av.stream.Disposition.default] or videos
        context = self.stream.codec_context
        if context is None or not context.width:
            raise ValueError(f"{self.path} cannot be read as a video.")
        if context.width * context.height > maximum_pixels:
            raise ValueError(
                f"{self.path} has frames of {context.width} x {context.height}; at most {maximum_pixels:,} pixels are "
                "taken."
            )
        self.stream.thread_type = "AUTO"
        self.rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.seconds = self.container.duration / av.time_base if self.container.duration else 0.0
        self.frames_expected = self.stream.frames or round(self.seconds * self.rate)
        self.seconds_read = 0.0

    def __enter__(self) -> "ClipReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()

    @property
    def copied_streams(self) -> list[Any]:
        """Streams of sound and of subtitles."""
        return [stream for stream in self.container.streams if stream.type in ("audio", "subtitle")]

    def frames(self) -> Iterator[Any]:
        """The decoded frames in order.

        Raises:
            ValueError: frames change size or format.
        """
        for kind, item in self._items([self.stream]):
            if kind == "frame":
                yield item

    def frames_and_packets(self) -> Iterator[tuple[str, Any]]:
        """("frame", decoded frame) and ("packet", packet of a copied stream), as they come in the file."""
        return self._items([self.stream, *self.copied_streams])

    def _items(self, streams):
        first = None
        for packet in self.container.demux(streams):
            if packet.stream.index != self.stream.index:
                if packet.dts is not None:
                    yield "packet", packet
                continue
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self.damaged += 1
                continue
            for frame in frames:
                kind = frame.width, frame.height, frame.format.name
                first = first or kind
                if kind != first:
                    raise ValueError(f"{self.path} changes the size or kind of its frames, which is not supported.")
                if frame.pts is not None:
                    end = (frame.pts + (frame.duration or 0)) * frame.time_base
                    self.seconds_read = float(end) - (self.container.start_time or 0) / av.time_base
                yield "frame", frame


class ClipWriter:
    """Writes a video with the sound, the times and the properties of another; complete at the end of a ``with`` block.

    Streams of a kind that the file does not hold are left out, and listed in ``left_out``.

    Args:
        path: of the file to write.
        source: the ClipReader whose streams are copied.
        format: ``clip_colours.PixelFormat`` of the frames.
        first: the source's first frame, as decoded.

    """

    def __init__(self, path: StrPath, source: ClipReader, format: Any, first: Any) -> None:
        self._format = format
        self._last = None
        self.left_out: list[str] = []
        self._container = av.open(str(path), "w", format=_FORMATS[Path(path).suffix.lower()])
        try:
            self._stream = self._add_video(source, first)
            self._copies: dict[int, Any] = {}
            for stream in source.copied_streams:
                self._add_copy(stream)
        except BaseException:
            self._container.close()
            raise
        copied = {source.stream.index, *self._copies}
        self.left_out += [stream.type for stream in source.container.streams if stream.index not in copied]
        for name, value in source.container.metadata.items():
            if name not in _NOT_COPIED:
                self._container.metadata[name] = value
        if source.container.chapters():
            self._container.set_chapters(source.container.chapters())

    def _add_video(self, source, first):
        format = self._format
        name, options = _ENCODERS[format.depth]
        stream = self._container.add_stream(name, rate=source.rate, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, format.name
        context = stream.codec_context
        context.time_base = source.stream.time_base
        if source.stream.sample_aspect_ratio:
            context.sample_aspect_ratio = source.stream.sample_aspect_ratio
        context.colorspace, context.color_range = format.tagged_matrix, format.tagged_range
        context.color_primaries, context.color_trc = int(first.color_primaries), int(first.color_trc)
        if name == "libx265" and self._container.format.name != "matroska":
            # The only tag of H.265 that Apple's players take.
            context.codec_tag = "hvc1"
        _copy_texts(source.stream, stream)
        matrix = [data for data in first.side_data if data.type.name == "DISPLAYMATRIX"]
        if matrix:
            stream.set_display_matrix(np.frombuffer(matrix[0], np.int32)[:9].tolist())
        return stream

    def _add_copy(self, stream):
        try:
            copy = self._container.add_stream_from_template(stream)
        except ValueError:
            # Subtitles of another kind; ``check_sound`` is for the sound.
            return
        _copy_texts(stream, copy)
        copy.disposition = stream.disposition
        self._copies[stream.index] = copy

    def write(self, planes: Any, frame: Any) -> None:
        """Write a frame.

        Args:
            planes: its planes, as ``PixelFormat.planes`` gives them.
            frame: the decoded frame whose time and length it takes.
        """
        picture = self._format.frame(planes)
        picture.time_base = frame.time_base
        picture.pts = self._time_of(frame)
        picture.duration = frame.duration
        self._container.mux(self._stream.encode(picture))

    def _time_of(self, frame):
        """Its time, later than the last one's. Some old formats give none."""
        step = frame.duration or max(1, round(1 / (self._stream.codec_context.rate * frame.time_base)))
        time = frame.pts
        if self._last is not None and (time is None or time <= self._last):
            time = self._last + (step if time is None else 1)
        self._last = 0 if time is None else time
        return self._last

    def copy(self, packet: Any) -> None:
        """Write a packet of a stream that is copied."""
        stream = self._copies.get(packet.stream.index)
        if stream is not None:
            packet.stream = stream
            self._container.mux(packet)

    def __enter__(self) -> "ClipWriter":
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


def _copy_texts(source, target):
    for name, value in source.metadata.items():
        if name not in _NOT_COPIED:
            target.metadata[name] = value
