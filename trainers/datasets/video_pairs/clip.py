"""Make a shard of pairs from one video: track the face, average its frames, align both images with one transform."""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path

from deblur_zoo.data.pair_store import pair_writer
from deblur_zoo.faces.acceptance import Rules
from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.faces.warp import align
from deblur_zoo.video.frame_averages import END, VariableAverages, predefined_averages
from deblur_zoo.video.frame_interpolation import light_between
from deblur_zoo.video.frame_sequence import Conditions, overlap_of_boxes, psnr
from deblur_zoo.video.track_view import TrackView, face_region, part_boxes
from deblur_zoo.video.tracking import track_faces
from deblur_zoo.video.video_file import LONGEST_SIDE, read_frames, read_info
from trainers.datasets.video_pairs.pair_rules import evenly_spread, refusal

DONE, SKIPPED, UNREADABLE = "done", "skipped", "unreadable"
VARIABLE = "variable"
# If a smaller share of the header's frames can be read, the video counts as damaged.
_LEAST_READ = 0.9


@dataclass(frozen=True)
class Settings:
    """The settings that determine a run's pairs; stored beside them, so that pairs of other settings are not mixed in.

    Attributes:
        average: "variable", or an odd number of frames as text, for predefined averages.
        response: "gamma" or "identity", see ``deblur_zoo.video.frame_sum``.
        interpolate: interpolate frames by optical flow, see ``deblur_zoo.video.frame_interpolation``.
        size, margin: of the crops in pixels, as in ``deblur_zoo.faces.warp.align``.
        shortest, longest: frames of a variable-length average.
        least_overlap: share of a facial part's box common to first and last frame, for at least one part.
        least_quality, most_quality: PSNR in dB of the average against the middle frame, over the face.
        tolerance: how far a face may move back before its motion counts as reversed, in pixels of a 128-pixel crop.
        largest_step: how far a face may move from frame to frame, in pixels of a 128-pixel crop.
        least_sharpness: of the middle frame, see ``pair_rules.sharpness``.
        largest_offset, most_unevenness: of the motion around the middle frame, see ``pair_rules.motion``.
        most_pairs: maximum per video, spread evenly over it; None: no limit.
        reversed_pass: also average backwards.
        step: frames from one predefined average to the next; None: half of its length.
        detect_every: the detector runs on every ``detect_every``-th frame.
        longest_side: larger frames are downscaled to it.
        rules: which faces are used, see ``deblur_zoo.faces.acceptance``.
    """

    average: str = VARIABLE
    response: str = "gamma"
    interpolate: bool = True
    size: int = CROP_SIZE
    margin: int = 16
    shortest: int = 5
    longest: int = 21
    least_overlap: float = 0.1
    least_quality: float = 21.0
    most_quality: float = 36.0
    tolerance: float = 3.0
    largest_step: float = 8.0
    least_sharpness: float = 0.38
    largest_offset: float = 1.5
    most_unevenness: float = 0.36
    most_pairs: int | None = None
    reversed_pass: bool = True
    step: int | None = None
    detect_every: int = 5
    longest_side: int = LONGEST_SIDE
    rules: Rules = field(default_factory=lambda: Rules(minimum_inside=0.92))

    def as_dict(self):
        """The settings as a dict for JSON."""
        return asdict(self)


def check_settings(settings):
    """Raise ValueError for invalid settings."""
    if settings.average != VARIABLE:
        if not settings.average.isdecimal():
            raise ValueError(f"--average must be {VARIABLE!r} or an odd number of frames, got {settings.average!r}")
        next(predefined_averages([], int(settings.average), settings.step, settings.response), None)
    else:
        if settings.step is not None:
            raise ValueError("--step needs a fixed number of frames, such as --average 7")
        _averager(settings)


def make_pairs(video, name, shard, settings, detector, progress=None):
    """Make the pairs of one video. The video is read twice; about ``settings.longest`` frames are in memory.

    Args:
        video: path of the video.
        name: prefix of the pairs' names.
        shard: path of the shard, which is not written if the video gives no pairs.
        settings: Settings.
        detector: function of a uint8 (H, W, 3) frame that returns a list of Face.
        progress: function called with 1 for each frame read, twice for each frame of the video.

    Returns:
        dict for JSON: the clip's report. "status" is "done"; "skipped" without pairs; "unreadable".
    """
    report = {
        "video": name, "status": UNREADABLE, "reason": "", "pairs": 0, "reversed": 0, "frames": 0, "frames_used": 0,
        "dropped": {}, "refused": {}, "stops": {}, "lengths": {}, "tracks": [], "most_frames_held": 0,
    }  # fmt: skip
    tick = progress or (lambda count: None)
    try:
        info = read_info(video)
        report |= {"frames_announced": info.frames, "frames_per_second": round(info.frames_per_second, 3)}
        report |= {"height": info.height, "width": info.width}
        tracks = track_faces(
            _counted(read_frames(video, longest_side=settings.longest_side), tick),
            detector, settings.detect_every, settings.size, settings.margin, settings.rules,
        )  # fmt: skip
    except ValueError as error:
        return {**report, "reason": f"cannot be read: {str(error).replace(str(video), name)}"}
    report["frames"] = tracks.frames
    if not tracks.frames:
        return {**report, "reason": "cannot be read: it holds no frames"}
    report["tracks"] = [{"first": t.first, "last": t.last, "ended": t.ended} for t in tracks.tracks]
    dropped = Counter(tracks.dropped)
    Path(shard).unlink(missing_ok=True)
    if tracks.tracks:
        dropped += _write_pairs(video, name, shard, tracks.tracks, settings, report, tick)
    report["dropped"] = dict(dropped.most_common())
    report["status"] = DONE if report["pairs"] else SKIPPED
    if not report["pairs"]:
        # No empty shards: they would look like damaged ones.
        Path(shard).unlink(missing_ok=True)
        reason = next(iter({**report["refused"], **report["dropped"]}), "too short")
        report["reason"] = f"no pairs: {reason}"
    if tracks.frames < _LEAST_READ * info.frames:
        damage = f"damaged: {tracks.frames} of {info.frames} frames can be read"
        report["reason"] = "; ".join(filter(None, [report["reason"], damage]))
    return report


def _write_pairs(video, name, shard, tracks, settings, report, tick):
    """Write the pairs of all tracks and fill in the report; returns a Counter of why frames are unused."""
    wanted = {number for track in tracks for number in range(track.first, track.last + 1)}
    frames = read_frames(video, wanted.__contains__, settings.longest_side)
    averager = _averager(settings)
    stops, lengths, refused = Counter(), Counter(), Counter()

    def averages():
        for track in tracks:
            seen = islice(frames, len(track.points))
            for average in averager(_counted(_viewed(seen, track, settings), tick)):
                middle = average.middle
                blurred, sharp = (
                    align(picture, middle.points, settings.size, settings.margin)[0]
                    for picture in (average.blurred, middle.picture)
                )
                reason = refusal(sharp, track.points[average.first : average.last + 1], settings)
                if reason:
                    refused[reason] += 1
                    continue
                ending = "-reversed" if average.reversed else ""
                name_of_pair = f"{name}/{middle.number:06d}-{average.length}{ending}"
                # Without its images: pairs awaiting the selection for ``most_pairs`` need only the crops.
                yield replace(average, blurred=None, middle=None), (name_of_pair, blurred, sharp)

    with pair_writer(shard) as write:
        for average, pair in evenly_spread(averages(), settings.most_pairs):
            write(*pair)
            report["pairs"] += 1
            report["reversed"] += average.reversed
            stops[average.stop] += 1
            lengths[str(average.length)] += 1
    frames.close()
    report["refused"] = dict(refused.most_common())
    report["stops"] = dict(stops.most_common())
    report["lengths"] = dict(sorted(lengths.items(), key=lambda item: int(item[0])))
    report["frames_used"], report["most_frames_held"] = averager.used, averager.most_held
    return averager.dropped


def _viewed(frames, track, settings):
    view = None
    for number, frame in frames:
        view = view or TrackView(track, frame.shape, settings.size, settings.margin)
        yield view.view(number, frame)


def _counted(frames, tick):
    """Frames without their numbers, if they have them, counting each one."""
    for frame in frames:
        tick(1)
        yield frame[1] if isinstance(frame, tuple) else frame


def _picture(frame):
    return frame.picture


def _between(settings):
    if not settings.interpolate:
        return None

    def between(one, other):
        # A pixel of the crop; if the face is enlarged, a pixel of the frame, its finest detail.
        longest_step = max(1.0, 1 / one.scale)
        return light_between(one.picture, other.picture, settings.response, longest_step)

    return between


def _averager(settings):
    if settings.average != VARIABLE:
        return _Predefined(settings)
    conditions = Conditions(
        overlap=lambda first, last: overlap_of_boxes(part_boxes(first.points), part_boxes(last.points)),
        least_overlap=settings.least_overlap,
        quality=psnr,
        least_quality=settings.least_quality,
        most_quality=settings.most_quality,
        region=lambda frame: face_region(frame.points, frame.picture.shape, settings.size),
        position=lambda frame: frame.points * (frame.scale * CROP_SIZE / settings.size),
        tolerance=settings.tolerance,
        largest_step=settings.largest_step,
    )
    return VariableAverages(
        conditions, settings.shortest, settings.longest, both_directions=settings.reversed_pass,
        response=settings.response, image=_picture, between=_between(settings),
    )  # fmt: skip


class _Predefined:
    """Predefined averages, counted like those of ``VariableAverages``."""

    def __init__(self, settings):
        self._settings = settings
        self._length = int(settings.average)
        self.used, self.dropped, self.most_held = 0, Counter(), self._length

    def __call__(self, frames):
        total, used = 0, 0

        def counted():
            nonlocal total
            for frame in frames:
                total += 1
                yield frame

        settings, end = self._settings, -1
        for average in predefined_averages(
            counted(), self._length, settings.step, settings.response, _picture, _between(settings)
        ):
            used += average.last - max(average.first - 1, end)
            end = average.last
            yield average
        self.used += used
        if total > used:
            self.dropped[END] += total - used
