"""Pairs of blurred and sharp faces from thousands of videos, on Apache Beam, with ``process_clip`` for each video."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deblur_zoo.annotations import StrPath
from deblur_zoo.data.tfrecords import ENDING
from deblur_zoo.files import beam_files
from deblur_zoo.files.beam_files import download, file_systems, is_local, join, names_in, upload, with_local_runner
from deblur_zoo.files.one_per_process import OnePerProcess
from deblur_zoo.files.resumable_folder import REPORT, SETTINGS, check_settings, report_bytes, settings_text
from deblur_zoo.video.video_file import ENDINGS, list_videos
from trainers.datasets.video_pairs.clip import Settings
from trainers.datasets.video_pairs.folder import (
    COLUMNS,
    default_detector,
    folder_for,
    process_clip,
    report_rows,
    still_holds,
)

# Beam's runners give a process several threads, but detector and decoder are multithreaded themselves.
_detectors = OnePerProcess(lambda make: make())


@dataclass(frozen=True)
class ClipJob:
    """A worker's task for one video; called with its name inside the folder, returns the clip's report.

    Attributes:
        videos, out: places of the videos and of the shards.
        settings: clip.Settings.
        make_detector: function without arguments that returns the detector; called once per process.
        staged: work on copies in a temporary folder, as for places that are not local folders.
    """

    videos: str
    out: str
    settings: Settings
    make_detector: Callable = default_detector
    staged: bool = False

    def __call__(self, name):
        with _detectors.use(self.make_detector) as detector:
            if not self.staged:
                return process_clip(Path(self.videos) / name, name, self.out, self.settings, detector)
            return self._on_a_copy(name, detector)

    def _on_a_copy(self, name, detector):
        video = join(self.videos, name)
        shard, record = (join(self.out, f"{name}{ending}") for ending in (ENDING, ".json"))
        earlier = _read_json(record)
        if earlier is not None and still_holds(earlier, beam_files.size(video), beam_files.size(shard)):
            return {**earlier, "earlier": True}
        with tempfile.TemporaryDirectory(prefix="video-pairs-") as folder:
            local, out = Path(folder) / "video" / name, Path(folder) / "out"
            local.parent.mkdir(parents=True)
            download(video, local)
            report = process_clip(local, name, out, self.settings, detector)
            # The report last: if it says done, the shard exists.
            if report["pairs"]:
                upload(out / f"{name}{ENDING}", shard)
            elif file_systems().exists(shard):
                file_systems().delete([shard])
            upload(out / f"{name}.json", record)
        return report


@dataclass(frozen=True)
class ReportWriter:
    """Writes report.tsv of all clips' reports."""

    out: str

    def __call__(self, reports):
        beam_files.write(join(self.out, REPORT), report_bytes([COLUMNS, *report_rows(reports)]))
        return len(reports)


def list_names(videos: str) -> list[str]:
    """Names of all videos inside a place, sorted.

    Raises:
        FileNotFoundError: there are none.
    """
    if is_local(videos):
        names = [path.relative_to(videos).as_posix() for path in list_videos(videos)]
    else:
        names = names_in(videos, ENDINGS)
    if not names:
        raise FileNotFoundError(f"there are no videos in {videos}")
    return names


def run(
    videos: StrPath,
    out: StrPath,
    settings: Settings,
    beam_arguments: Sequence[str] = (),
    make_detector: Callable = default_detector,
    staged: bool | None = None,
) -> None:
    """Make the pairs of all videos in a place, and wait for the pipeline to end.

    A place is a folder that every worker sees, or a URI of Beam's file systems.

    Args:
        videos, out: places.
        settings: clip.Settings.
        beam_arguments: Beam's options, as on its command lines.
        make_detector: as in ``ClipJob``.
        staged: as in ``ClipJob``; None: only if a place is not a local folder.

    Raises:
        FileNotFoundError: no videos.
        ValueError: ``out`` has other contents.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    videos, out = str(videos), str(out)
    names = list_names(videos)
    _check_place(out, settings)
    staged = not (is_local(videos) and is_local(out)) if staged is None else staged
    job = ClipJob(videos, out, settings, make_detector, staged)
    with beam.Pipeline(options=PipelineOptions(with_local_runner(beam_arguments))) as pipeline:
        (
            pipeline
            | "Names" >> beam.Create(names)
            # Distributes the videos one by one, instead of in one piece with the list of their names.
            | "Deal" >> beam.Reshuffle()
            | "Pairs" >> beam.Map(job)
            | "Reports" >> beam.combiners.ToList()
            | "Report" >> beam.Map(ReportWriter(out))
        )


def _check_place(out, settings):
    if is_local(out):
        folder_for(out, settings).open()
        return
    stored = beam_files.read(join(out, SETTINGS))
    if stored is None:
        beam_files.write(join(out, SETTINGS), settings_text(settings.as_dict()).encode("utf-8"))
    else:
        check_settings(stored, settings.as_dict(), out, "pairs")


def _read_json(path):
    text = beam_files.read(path)
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None
