"""The pipeline from photos to restored photos and a report, and a worker's task."""

import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deblur_zoo.annotations import StrPath
from deblur_zoo.files import pictures
from deblur_zoo.files.beam_files import download, file_systems, is_local, join, names_in, upload, with_local_runner
from deblur_zoo.files.one_per_process import OnePerProcess
from deblur_zoo.restoration.folders import plan_folder, result_paths
from deblur_zoo.restoration.outputs import Outputs
from deblur_zoo.restoration.photo import DEFAULT_PRESET, PhotoOptions
from deblur_zoo.restoration.restorer import Restorer
from deblur_zoo.zoo import load

# Beam's runners give a process several threads.
_models = OnePerProcess(lambda preset: load(preset, kind="deblurrer"))


@dataclass(frozen=True)
class _Told(Outputs):
    """Keeps the lines of the report instead of writing them to a file."""

    lines: list[dict] = field(default_factory=list)

    def tell(self, line: dict) -> None:
        self.lines.append(line)


@dataclass(frozen=True)
class PhotoJob:
    """A worker's task for one photo, called with the names of the photo and its result inside their folders.

    Attributes:
        photos, out: folders, local ones or URIs such as gs://bucket/folder.
        preset: as for ``deblur_zoo.load``; loaded once per process.
        options: what to restore.
        quality: as in ``Outputs``.
        maximum_pixels: larger photos are rejected.
        staged: work on copies in a temporary folder, as for URIs.
    """

    photos: str
    out: str
    preset: str = DEFAULT_PRESET
    options: PhotoOptions = PhotoOptions()
    quality: int | None = None
    maximum_pixels: int = pictures.MAXIMUM_PIXELS
    staged: bool = False

    def __call__(self, names: tuple[str, str]) -> str:
        """Restore a photo unless its result is there. Returns a line of JSON for the report."""
        photo, target = join(self.photos, names[0]), join(self.out, names[1])
        if _exists(target):
            line = {"photo": photo, "result": target, "skipped": True}
        elif self.staged:
            line = self._restore_copy(photo, target)
        else:
            line = self._restore(Path(photo), Path(target))
        return json.dumps(line)

    def _restore(self, photo, target):
        told = _Told(self.quality)
        with _models.use(self.preset) as model:
            restorer = Restorer(model, maximum_pixels=self.maximum_pixels, options=self.options)
            restorer.restore_planned({photo: target}, outputs=told)
        return told.lines[-1]

    def _restore_copy(self, photo, target):
        with tempfile.TemporaryDirectory(prefix="deblur-zoo-") as folder:
            copy, result = Path(folder) / "photo" / Path(photo).name, Path(folder) / "result" / Path(target).name
            copy.parent.mkdir()
            download(photo, copy)
            line = self._restore(copy, result)
            if "error" in line:
                return {"photo": photo, "error": line["error"].replace(str(copy), photo)}
            upload(result, target)
        return {**line, "photo": photo, "result": target}


def plan(photos: StrPath, out: StrPath, ending: str | None = None) -> list[tuple[str, str]]:
    """Names of all photos in a folder or below, and of their results, each inside its folder.

    Args:
        photos, out: folders or URIs.
        ending: of the results, such as ".png"; default: that of each photo.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: no photos were found, or results would replace them.
    """
    if is_local(photos) and is_local(out):
        jobs = plan_folder(photos, out, ending=ending)
        return [
            (path.relative_to(photos).as_posix(), target.relative_to(out).as_posix()) for path, target in jobs.items()
        ]
    if join(photos, "") == join(out, ""):
        raise ValueError(f"The results would replace the photos in {photos}: choose another folder.")
    names = names_in(photos, pictures.READ_ENDINGS)
    if not names:
        raise ValueError(f"{photos} has no pictures ({', '.join(pictures.READ_ENDINGS)}).")
    here = Path()
    results = result_paths([Path(name) for name in names], here, here, ending=ending)
    return [(path.as_posix(), result.as_posix()) for path, result in results.items()]


def run(job: PhotoJob, beam_arguments: Sequence[str] = (), ending: str | None = None) -> str:
    """Restore all photos of a job, and wait for the pipeline to end.

    Args:
        job: what to do with each photo; ``staged`` is set for URIs.
        beam_arguments: Beam's options, as on its command lines.
        ending: of the results, as in ``plan``.

    Returns:
        Path of the report, ``deblur-zoo-TIME.jsonl`` in the job's folder ``out``: a line of JSON for each photo, in any
        order.

    Raises:
        As ``plan``.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    names = plan(job.photos, job.out, ending)
    if not (is_local(job.photos) and is_local(job.out)):
        job = replace(job, staged=True)
    report = join(job.out, f"deblur-zoo-{time.strftime('%Y%m%d-%H%M%S')}.jsonl")
    with beam.Pipeline(options=PipelineOptions(with_local_runner(beam_arguments))) as pipeline:
        (
            pipeline
            | "Names" >> beam.Create(names)
            # Distributes the photos one by one, instead of in one piece with the list of their names.
            | "Deal" >> beam.Reshuffle()
            | "Restore" >> beam.Map(job)
            | "Report" >> beam.io.WriteToText(report, num_shards=1, shard_name_template="")
        )
    return report


def counts(report: str) -> dict[str, int]:
    """How many photos of a report were "restored", "skipped" and "failed"."""
    found = {"restored": 0, "skipped": 0, "failed": 0}
    with file_systems().open(report) as file:
        for text in file:
            line = json.loads(text)
            found["failed" if "error" in line else "skipped" if "skipped" in line else "restored"] += 1
    return found


def _exists(path):
    return os.path.lexists(path) if is_local(path) else file_systems().exists(path)
