"""A video in, the same video with its faces deblurred out.

The video is read twice. First its faces are followed, and it is decided for each at which size the network sees it and
whether it is blurred at all, once for all of its frames, so that nothing pulses. Then the faces are restored, those of
several frames at once, and the frames are written. The memory for frames does not grow with the video's length.
"""

import itertools
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.faces.detection import Detector, Face
from deblur_zoo.faces.warp import crop_bounds
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.folders import real_path
from deblur_zoo.restoration import clip_file
from deblur_zoo.restoration.blending import add_correction
from deblur_zoo.restoration.clip_colours import pixel_format
from deblur_zoo.restoration.clip_faces import BlendedFace, Survey, fade
from deblur_zoo.restoration.face_crop import crop_of, matrix_of
from deblur_zoo.restoration.photo import PhotoOptions
from deblur_zoo.video.face_tracks import FaceTrack, FaceTracker

# The detector takes as long as ten frames: it runs on one frame in this many seconds.
_SECONDS_BETWEEN_LOOKS = 1.0
# A video whose pictures end so much before its length is said to do so: it may be damaged.
_MISSING_SECONDS = 0.5
# Frames that are held at once: at most so many, and so many pixels in all.
_BLOCK_FRAMES = 16
_BLOCK_PIXELS = 16_000_000


@dataclass
class VideoFace:
    """One face of a video, over successive frames.

    Attributes:
        track: where it is: a ``deblur_zoo.video.face_tracks.FaceTrack``, in pixels of the upright frame.
        size: median of the pixels that its canonical crop covers.
        working_size: side in pixels at which the network saw it.
        blur: median length in pixels of the straight motion that would blur as much; 0 for a sharp face.
        restored: whether it was changed; False for one that is sharp.
    """

    track: FaceTrack
    size: float
    working_size: int
    blur: float
    restored: bool


@dataclass
class RestoredVideo:
    """A restored video.

    Attributes:
        path: of the written file.
        frames: number of frames.
        faces: those that were selected, in the order in which they appear.
        seconds: time in seconds of each stage: "faces", "restoration".
        remarks: sentences about what is different from the source, such as damaged frames that are left out.
    """

    path: Path
    frames: int
    faces: list[VideoFace] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def restore_video(
    source: StrPath,
    target: StrPath,
    restore: Callable[[Array], Array],
    options: PhotoOptions | None = None,
    detector: Callable[[Array], list[Face]] | None = None,
    *,
    maximum_pixels: int,
    overwrite: bool = False,
    progress: Callable[[str, int, int], object] | None = None,
) -> RestoredVideo:
    """Restore the faces of a video.

    Args:
        source: the video.
        target: file to write, in H.264, or H.265 where the video has more than 8 bits.
        restore: function of float32 (N, S, S, 3) in [0, 1] to the same: the network.
        options: ``PhotoOptions()`` unless given. The background is kept, whatever they say.
        detector: a ``deblur_zoo.faces.Detector``.
        maximum_pixels: a video of larger frames is refused.
        overwrite: replace an older file at ``target``, which may be ``source``.
        progress: called with the stage ("finding faces" or "restoring"), frames done, and frames in all.

    Returns:
        RestoredVideo. Where no face was changed and the kind of file is the same, the file is a copy.

    Raises:
        FileNotFoundError, FileExistsError: no source; a target that exists, without ``overwrite``.
        ImportError: PyAV is missing.
        ValueError: not a video, or of a kind that is not supported.
        OSError: the file cannot be written. Then, and after Ctrl-C, nothing is left of it.
    """
    source, target = Path(source), Path(target)
    options = options or PhotoOptions()
    clip_file.check_ending(target)
    check_target(source, target, overwrite)
    tell = progress or (lambda stage, done, total: None)
    start = time.perf_counter()
    format, frames, tracks, surveys = _follow(source, target, maximum_pixels, restore, options, detector, tell)
    faces = _selected(tracks, surveys, options, format.size)
    found = time.perf_counter()
    result = RestoredVideo(target, frames, faces)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        if not any(face.restored for face in faces) and source.suffix.lower() == target.suffix.lower():
            shutil.copyfile(source, temporary)
        else:
            _write(source, temporary, maximum_pixels, result, format, restore, options, tell)
    result.seconds = {"faces": found - start, "restoration": time.perf_counter() - found}
    return result


def check_target(source: Path, target: Path, overwrite: bool) -> None:
    """Raise FileExistsError if writing ``target`` would replace a file, ValueError if that is the source itself."""
    if overwrite or not target.exists():
        return
    if real_path(source) == real_path(target):
        raise ValueError(f"{target} would be overwritten by its own result: give another name, or allow overwriting.")
    raise FileExistsError(f"{target} exists already: give another name, or allow overwriting.")


def _follow(source, target, maximum_pixels, restore, options, detector, tell):
    """The first reading: (PixelFormat, number of frames, FaceTrack and Survey by number)."""
    detector = detector or Detector((640, 1280), options.minimum_confidence)
    surveys: dict[int, Survey] = {}
    format = tracker = None
    count = 0
    with clip_file.ClipReader(source, maximum_pixels) as clip:
        clip_file.check_sound(clip, target)
        tracker = FaceTracker(detector, max(1, round(clip.rate * _SECONDS_BETWEEN_LOOKS)))
        for frame in clip.frames():
            if format is None:
                format = _format_of(frame, clip)
            pixels = format.rgb(frame, depth=8)
            for number, points in tracker.take(pixels).items():
                surveys.setdefault(number, Survey()).offer(pixels, points, restore)
            count += 1
            tell("finding faces", count, max(count, clip.frames_expected))
    if format is None:
        raise ValueError(f"{source} cannot be read as a video: no frame could be decoded.")
    return format, count, tracker.finish(), surveys


def _format_of(frame, clip):
    try:
        return pixel_format(frame, clip.stream.sample_aspect_ratio)
    except ValueError as error:
        raise ValueError(f"{clip.path} {error}") from None


def _selected(tracks, surveys, options, frame_size):
    """The faces that the options name, as VideoFace."""
    middle = np.array(frame_size) / 2
    found = []
    for number, track in sorted(tracks.items(), key=lambda item: (item[1].first, item[0])):
        survey = surveys[number]
        if survey.size < options.minimum_size:
            continue
        restored = (survey.blurred or options.sharp_faces) and options.strength > 0
        found.append(VideoFace(track, survey.size, survey.working_size, survey.blur, restored))
    if options.faces == "all":
        return found

    def weight(face):
        away = np.linalg.norm(np.median(face.track.points.mean(axis=1), axis=0) - middle) / np.linalg.norm(middle)
        return face.size**2 * (1 if options.faces == "largest" else 1 - 0.5 * min(1.0, away))

    def yields(face, other):
        """Whether another face is seen in half of its frames and counts for more."""
        shared = min(face.track.last, other.track.last) - max(face.track.first, other.track.first) + 1
        return shared >= len(face.track.points) / 2 and weight(other) > weight(face)

    return [face for face in found if not any(yields(face, other) for other in found)]


def _write(source, path, maximum_pixels, result, format, restore, options, tell):
    """The second reading: restore and write."""
    writing = [_Writing(face, BlendedFace()) for face in result.faces if face.restored]
    size = max(1, min(_BLOCK_FRAMES, _BLOCK_PIXELS // (format.size[0] * format.size[1])))
    with clip_file.ClipReader(source, maximum_pixels) as clip:
        items = clip.frames_and_packets()
        # Packets of sound may come before the first frame, which says what to write.
        before = []
        for kind, item in items:
            before.append((kind, item))
            if kind == "frame":
                break
        first = before[-1][1]
        with clip_file.ClipWriter(path, clip, format, first) as writer:
            block, number = [], 0
            for kind, item in itertools.chain(before, items):
                if kind == "packet":
                    writer.copy(item)
                    continue
                block.append(item)
                if len(block) == size:
                    number = _write_block(writer, block, number, writing, format, restore, options)
                    block = []
                    tell("restoring", number, max(number, result.frames))
            number = _write_block(writer, block, number, writing, format, restore, options)
            tell("restoring", number, max(number, result.frames))
            result.remarks = _remarks(clip, writer)
    if number != result.frames:
        raise ValueError(f"{source} changed while it was read.")


def _remarks(clip, writer):
    remarks = []
    if clip.damaged:
        remarks.append(f"Damaged parts of {clip.path.name} are left out: {clip.damaged} packets.")
    if clip.seconds - clip.seconds_read > _MISSING_SECONDS:
        remarks.append(f"{clip.path.name} has pictures for {clip.seconds_read:.1f} of its {clip.seconds:.1f} s.")
    if writer.left_out:
        remarks.append(f"Streams that are not copied: {', '.join(writer.left_out)}.")
    return remarks


@dataclass
class _Writing:
    face: VideoFace
    blended: BlendedFace


def _write_block(writer, block, first, writing, format, restore, options):
    """Restore successive frames and write them. Returns the number of the frame after them."""
    shown = []
    jobs: dict[int, list] = {}
    for number, frame in enumerate(block, first):
        here = [one for one in writing if one.face.track.first <= number <= one.face.track.last]
        shown.append((number, frame, format.rgb(frame) if here else None, here))
        for one in here:
            crop = crop_of(shown[-1][2], one.face.track.points[number - one.face.track.first], one.face.working_size)
            jobs.setdefault(one.face.working_size, []).append(((number, id(one)), crop))
    corrections = {}
    for group in jobs.values():
        crops = np.stack([crop for _, crop in group])
        for (key, crop), restored in zip(group, np.asarray(restore(crops)), strict=True):
            corrections[key] = crop, restored
    for number, frame, pixels, here in shown:
        planes = format.planes(frame)
        if here:
            _blend(planes, pixels, number, here, corrections, format, options.strength)
        writer.write(planes, frame)
    return first + len(block)


def _blend(planes, pixels, number, here, corrections, format, strength):
    changed, bounds = pixels.copy(), []
    for one in here:
        track = one.face.track
        index = number - track.first
        residual = one.blended.correction(*corrections[number, id(one)])
        matrix = matrix_of(track.points[index], one.face.working_size)
        faded = fade(index, len(track.points), track.starts_with_shot, track.ends_with_shot)
        add_correction(changed, pixels, residual, matrix, strength * faded)
        bounds.append(crop_bounds(matrix, one.face.working_size, pixels.shape))
    left, top = np.min(bounds, axis=0)[:2]
    right, bottom = np.max(bounds, axis=0)[2:]
    if left < right and top < bottom:
        place = slice(top, bottom), slice(left, right)
        change = changed[place].astype(np.float32) - pixels[place]
        format.add(planes, place, change / np.iinfo(pixels.dtype).max)
