"""What `deblur-zoo` does with videos."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deblur_zoo.annotations import StrPath
from deblur_zoo.files.atomic_file import ends_a_run
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.folders import find_files, real_path, without_results
from deblur_zoo.files.pictures import READ_ENDINGS
from deblur_zoo.restoration import clip_file
from deblur_zoo.restoration.video import check_target
from deblur_zoo.video.video_file import ENDINGS, list_videos


def is_video(path: StrPath) -> bool:
    """Whether a path is a video's, by its ending, or that of a folder of videos without pictures."""
    path = Path(path)
    if not path.is_dir():
        return path.suffix.lower() in ENDINGS
    found = {file.suffix.lower() for file in find_files(path, (*ENDINGS, *READ_ENDINGS))[0]}
    return bool(found) and found <= set(ENDINGS)


def restore_videos(
    sources: Sequence[Path], target: str, overwrite: bool, background: str | None, make_restorer: Callable[[], Any]
) -> int:
    """Restore videos and say what was done.

    Args:
        sources: paths of videos, and of folders of videos.
        target: file to write, or a folder: where there are several, where it is one, or where it ends in "/". Of
            videos in folders, those whose results are there already are skipped.
        overwrite: replace older files.
        background: what was asked for; videos know "keep" only.
        make_restorer: function to a ``Restorer``; called when everything else is known to be good.

    Returns:
        The exit code: 0, 1 if some of several or of a folder could not be restored, 130 after Ctrl-C.

    Raises:
        UsageError: bad arguments, or a single video, not in a folder, that cannot be restored.
    """
    try:
        jobs, skipped = _plan(sources, target, overwrite)
        if background == "restore":
            raise ValueError("--background restore is for photos: of a video only the faces are restored.")
        clip_file.check_available()
        single = len(sources) == 1 and not sources[0].is_dir()
        if single:
            # Told before Keras is imported, which takes seconds.
            clip_file.ClipReader(sources[0], sys.maxsize).container.close()
        restorer = make_restorer() if jobs else None
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error
    if skipped:
        print(f"{len(skipped)} of the results are there already and were skipped (see --overwrite)")
    failed = 0
    for source, path in jobs.items():
        try:
            _restore_one(restorer, source, path, overwrite)
        except KeyboardInterrupt:
            print(f"\nInterrupted: {path} was not written.", file=sys.stderr)
            return 130
        # Runtimes have errors of their own.
        except Exception as error:
            if isinstance(error, OSError) and ends_a_run(error, source):
                raise
            if single:
                if isinstance(error, ValueError):
                    raise UsageError(str(error)) from error
                raise
            failed += 1
            reason = " ".join(str(error).split()) or type(error).__name__
            # Errors of the network do not name the video.
            name = "" if str(source) in reason else f"{source}: "
            print(f"deblur-zoo: {name}{reason}", file=sys.stderr)
    return 1 if failed else 0


def _plan(sources, target, overwrite):
    """Path of each video with the path of its result, and the results of folders' videos that are there already."""
    other = next((source for source in sources if not is_video(source)), None)
    if other is not None:
        raise ValueError(f"{other} is not a video: restore videos and pictures one after the other.")
    path = Path(target)
    folder = len(sources) > 1 or sources[0].is_dir() or path.is_dir() or target.endswith(("/", os.sep))
    if folder and path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; the results go into a folder.")
    jobs: dict[Path, Path] = {}
    skipped = []
    for source in sources:
        inside = path / real_path(source).name if len(sources) > 1 else path
        for video in without_results(list_videos(source), source, path) if source.is_dir() else [source]:
            result = inside / video.relative_to(source) if source.is_dir() else path / source.name if folder else path
            if folder and result.suffix.lower() not in clip_file.ENDINGS:
                result = result.with_suffix(".mp4")
            clip_file.check_ending(result)
            if result in [*jobs.values(), *skipped]:
                raise ValueError(f"Two videos would both be restored to {result}: restore them one by one.")
            try:
                check_target(video, result, overwrite)
            except FileExistsError:
                if not source.is_dir():
                    raise ValueError(f"{result} exists already: give another name, or --overwrite.") from None
                skipped.append(result)
            else:
                jobs[video] = result
    return jobs, skipped


def _restore_one(restorer, source, path, overwrite):
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def progress(stage, done, total):
        if stage not in bars:
            for older in bars.values():
                older.close()
            bars[stage] = tqdm(unit="frame", desc=stage, delay=0.5, disable=None)
        bars[stage].total = total
        bars[stage].update(done - bars[stage].n)

    try:
        result = restorer.restore_video(source, path, overwrite, progress)
    finally:
        for bar in bars.values():
            bar.close()
    restored = [face for face in result.faces if face.restored]
    seconds = sum(result.seconds.values())
    print(f"Restored {path} with {restorer.model.name}: {result.frames} frames in {seconds:.1f} s")
    if not result.faces:
        print(f"{path} has no face: it is left as it is")
    elif not restored:
        print(f"The faces in {path} are sharp: it is left as it is")
    for remark in result.remarks:
        print(remark, file=sys.stderr)
