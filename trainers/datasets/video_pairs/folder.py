"""Make shards of pairs from all videos in a folder, resuming after interruptions."""

import json
from pathlib import Path

from tqdm import tqdm

from deblur_zoo.data.tfrecords import ENDING
from deblur_zoo.faces.detection import Detector
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.files.resumable_folder import ResumableFolder
from deblur_zoo.video.video_file import list_videos
from trainers.datasets.video_pairs.clip import DONE, SKIPPED, make_pairs

COLUMNS = (
    "video",
    "status",
    "pairs",
    "reversed",
    "frames",
    "frames_used",
    "dropped",
    "refused",
    "stops",
    "tracks",
    "reason",
)


def make_folder(videos, out, settings, detector=None, progress=None, clip_progress=None):
    """Make the pairs of every video of a folder.

    For each video NAME, ``out`` gets NAME.tfrecord and the clip's report NAME.json in the same sub-folder; it also gets
    report.tsv and settings.json. Videos that an earlier run has finished are skipped unless they have changed.

    Args:
        videos: folder, searched recursively.
        out: folder for the shards; created if missing.
        settings: clip.Settings.
        detector: function of a uint8 (H, W, 3) frame that returns a list of Face; ``detection.Detector`` if None.
        progress: function of a list that returns an iterable of it, such as tqdm; called with the videos' paths.
        clip_progress: function (path) -> context manager of an object with ``update(n)``, for a video's frames.

    Returns:
        list of reports, see ``clip.make_pairs``; "earlier" is true in those of an earlier run.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder does not exist, or has no videos.
        ValueError: ``out`` has pairs made with other settings, or files of other origin.
    """
    videos, out = Path(videos), Path(out)
    paths = list_videos(videos)
    if not paths:
        raise FileNotFoundError(f"there are no videos in {videos}")
    results = folder_for(out, settings)
    results.open()
    detector = detector or default_detector()
    reports = []
    try:
        for path in progress(paths) if progress else paths:
            name = path.relative_to(videos).as_posix()
            with clip_progress(path) if clip_progress else tqdm(disable=True) as bar:
                reports.append(process_clip(path, name, out, settings, detector, bar.update))
    finally:
        results.write_report(report_rows(reports))
    return reports


def process_clip(path, name, out, settings, detector, progress=None):
    """The report of one video of a folder, processing it unless an earlier run has finished it.

    Args:
        path: of the video.
        name: its path inside the folder.
        out, settings, detector: as in ``make_folder``.
        progress: as in ``clip.make_pairs``.

    Returns:
        dict, the clip's report.
    """
    out = Path(out)
    shard, record = (out / f"{name}{ending}" for ending in (ENDING, ".json"))
    earlier = _finished(path, shard, record)
    if earlier is not None:
        return {**earlier, "earlier": True}
    shard.parent.mkdir(parents=True, exist_ok=True)
    # Before anything else: a report that says done implies a complete shard.
    record.unlink(missing_ok=True)
    report = make_pairs(path, name, shard, settings, detector, progress)
    status = Path(path).stat()
    report["file"] = {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256_of(path)}
    report["shard_bytes"] = shard.stat().st_size if report["pairs"] else 0
    with atomic_path(record) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def default_detector():
    """MTCNN; the rules decide on its confidence."""
    return Detector((320, 1024), minimum_confidence=0.8)


def folder_for(out, settings):
    """The resumable folder of these settings."""
    return ResumableFolder(out, "pairs", settings.as_dict(), COLUMNS)


def report_rows(reports):
    """The rows of report.tsv, sorted by the video's name."""
    rows = []
    for report in sorted(reports, key=lambda report: report["video"]):
        row = {**report, "tracks": len(report["tracks"])}
        for column in ("dropped", "refused", "stops"):
            row[column] = "; ".join(f"{reason}: {count}" for reason, count in report[column].items())
        rows.append([row[column] for column in COLUMNS])
    return rows


def _finished(path, shard, record):
    """An earlier run's report if it is still valid, else None."""
    try:
        report = json.loads(record.read_text(encoding="utf-8"))
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    shard_bytes = shard.stat().st_size if shard.exists() else None
    if not still_holds(report, status.st_size, shard_bytes):
        return None
    file = report["file"]
    same = file["mtime_ns"] == status.st_mtime_ns or file["sha256"] == sha256_of(path)
    return report if same else None


def still_holds(report, video_bytes, shard_bytes):
    """Whether a report is of a finished video of this size, with a shard of this size (None: no shard)."""
    try:
        if report["status"] not in (DONE, SKIPPED) or report["file"]["bytes"] != video_bytes:
            return False
        return shard_bytes == report["shard_bytes"] if report["pairs"] else True
    except (KeyError, TypeError):
        return False
