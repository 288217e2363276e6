"""Make pairs from thousands of videos on Apache Beam, with the code of trainers.datasets.video_pairs for each video.

    python -m trainers.datasets.video_pairs.beam_pipeline --videos clips --out pairs -- --direct_num_workers=4
    python -m trainers.datasets.video_pairs.beam_pipeline --videos gs://B/clips --out gs://B/pairs -- \
        --runner=DataflowRunner ...

Options after -- are Beam's own; without --runner it runs on this machine, with --direct_num_workers processes. Places
other than local folders are URIs of Beam's file systems (gs://, s3://, hdfs://). The output in OUT is that of
trainers.datasets.video_pairs, and either command resumes the other's work. See docs/video.md for Flink, Spark and
Dataflow. Needs the extra [beam].
"""

import functools
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from deblur_zoo.data.tfrecords import ENDING
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.resumable_folder import REPORT, SETTINGS, check_settings, report_bytes, settings_text
from deblur_zoo.video.video_file import ENDINGS, list_videos
from trainers.datasets.video_pairs.clip import Settings
from trainers.datasets.video_pairs.flags import define_flags, settings_from_flags
from trainers.datasets.video_pairs.folder import (
    COLUMNS,
    default_detector,
    folder_for,
    process_clip,
    report_rows,
    still_holds,
)

FLAGS = flags.FLAGS
# Runners give a process several threads, but detector and decoder are multithreaded themselves.
_one_video = threading.Lock()


def is_local(place):
    """Whether a place is a local folder and not a URI such as gs://bucket/folder."""
    return "://" not in str(place)


@functools.lru_cache(maxsize=2)
def _detector(make_detector):
    """One detector per process."""
    return make_detector()


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
        with _one_video:
            detector = _detector(self.make_detector)
            if not self.staged:
                return process_clip(Path(self.videos) / name, name, self.out, self.settings, detector)
            return self._on_a_copy(name, detector)

    def _on_a_copy(self, name, detector):
        from apache_beam.io.filesystems import FileSystems

        video = _join(self.videos, name)
        shard, record = (_join(self.out, f"{name}{ending}") for ending in (ENDING, ".json"))
        earlier = _read_json(record)
        if earlier is not None and still_holds(earlier, _size(video), _size(shard)):
            return {**earlier, "earlier": True}
        with tempfile.TemporaryDirectory(prefix="video-pairs-") as folder:
            local, out = Path(folder) / "video" / name, Path(folder) / "out"
            local.parent.mkdir(parents=True)
            with FileSystems.open(video) as source, open(local, "wb") as target:
                shutil.copyfileobj(source, target)
            report = process_clip(local, name, out, self.settings, detector)
            # The report last: if it says done, the shard exists.
            if report["pairs"]:
                _upload(out / f"{name}{ENDING}", shard)
            elif FileSystems.exists(shard):
                FileSystems.delete([shard])
            _upload(out / f"{name}.json", record)
        return report


@dataclass(frozen=True)
class ReportWriter:
    """Writes report.tsv of all clips' reports."""

    out: str

    def __call__(self, reports):
        _write(_join(self.out, REPORT), report_bytes([COLUMNS, *report_rows(reports)]))
        return len(reports)


def list_names(videos):
    """Names of all videos inside a place, sorted.

    Raises:
        FileNotFoundError: there are none.
    """
    if is_local(videos):
        names = [path.relative_to(videos).as_posix() for path in list_videos(videos)]
    else:
        from apache_beam.io.filesystems import FileSystems

        base = videos.rstrip("/") + "/"
        paths = [metadata.path for match in FileSystems.match([f"{base}**"]) for metadata in match.metadata_list]
        names = sorted(path.removeprefix(base) for path in paths if path.lower().endswith(ENDINGS))
    if not names:
        raise FileNotFoundError(f"there are no videos in {videos}")
    return names


def run(videos, out, settings, beam_arguments=(), make_detector=default_detector, staged=None):
    """Make the pairs of all videos in a place, and wait for the pipeline to end.

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
    arguments = list(beam_arguments)
    if not any(argument.startswith("--runner") for argument in arguments):
        # By name, since DirectRunner would first try to download another runner.
        arguments += ["--runner=FnApiRunner", "--direct_running_mode=multi_processing"]
        if not any(argument.startswith("--direct_num_workers") for argument in arguments):
            arguments.append(f"--direct_num_workers={os.cpu_count() or 1}")
    job = ClipJob(videos, out, settings, make_detector, staged)
    with beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:
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
    stored = _read(_join(out, SETTINGS))
    if stored is None:
        _write(_join(out, SETTINGS), settings_text(settings.as_dict()).encode("utf-8"))
    else:
        check_settings(stored, settings.as_dict(), out, "pairs")


def _join(place, name):
    return f"{str(place).rstrip('/')}/{name}"


def _size(path):
    """Size of a file in bytes, None if it does not exist."""
    from apache_beam.io.filesystems import FileSystems

    found = [metadata for match in FileSystems.match([path]) for metadata in match.metadata_list]
    return found[0].size_in_bytes if found else None


def _read(path):
    from apache_beam.io.filesystems import FileSystems

    if not FileSystems.exists(path):
        return None
    with FileSystems.open(path) as file:
        return file.read().decode("utf-8", "replace")


def _read_json(path):
    text = _read(path)
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _write(path, content):
    from apache_beam.io.filesystems import FileSystems

    temporary = f"{path}.partial"
    with FileSystems.create(temporary) as file:
        file.write(content)
    FileSystems.rename([temporary], [path])


def _upload(local, path):
    from apache_beam.io.filesystems import FileSystems

    temporary = f"{path}.partial"
    with open(local, "rb") as source, FileSystems.create(temporary) as target:
        shutil.copyfileobj(source, target)
    FileSystems.rename([temporary], [path])


def run_command(arguments):
    """Check the flags, then run the pipeline. Returns the exit code."""
    for name in ("videos", "out"):
        if not FLAGS[name].value:
            raise UsageError(f"--{name} is missing; see --help")
    other = [argument for argument in arguments if not argument.startswith("-")]
    if other:
        raise UsageError(f"unexpected argument {other[0]!r}; Beam's options go after --, as --name=value")
    try:
        import apache_beam  # noqa: F401
    except ImportError:
        raise UsageError("Apache Beam is not installed: pip install 'deblur-zoo[beam]'") from None
    try:
        run(FLAGS.videos, FLAGS.out, settings_from_flags(), arguments)
    except ValueError as error:
        raise UsageError(str(error)) from None
    rows = [line.split("\t") for line in _read(_join(FLAGS.out, REPORT)).splitlines()[1:]]
    pairs = sum(int(row[2]) for row in rows)
    print(f"{len(rows)} videos, {pairs} pairs, {sum(row[2] == '0' for row in rows)} videos without pairs; see {REPORT}")
    return 0 if pairs else 1


def main():
    define_flags(sys.argv[0] if __name__ == "__main__" else __name__)
    command_line_tools.run(run_command, "trainers.datasets.video_pairs.beam_pipeline")


if __name__ == "__main__":
    main()
