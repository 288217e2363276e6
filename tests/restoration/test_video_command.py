"""`deblur-zoo` with videos: arguments, folders, what it says, and Ctrl-C."""

import os

import pytest
from skimage.data import astronaut

from deblur_zoo.files import pictures
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.restoration import video
from deblur_zoo.restoration.photo import PhotoOptions
from deblur_zoo.restoration.restorer import Restorer
from deblur_zoo.restoration.video_command import is_video, restore_videos
from tests import written_clips as clips
from tests.commands import run_python


def frames(count):
    """The same picture of a face."""
    return count * [clips.subsampled(clips.from_rgb(astronaut()[30:222, 130:322].astype(float)))]


def run(*arguments, **options):
    done = run_python("-m", "deblur_zoo", *arguments, **options)
    return done.returncode, done.stdout, done.stderr


def test_the_command(tmp_path, tiny_preset):
    source = clips.write(tmp_path / "a.mp4", frames(3), sound=0.2)
    code, out, err = run(source, "-o", tmp_path / "out" / "b.mp4", "--preset", tiny_preset)
    assert (code, err) == (0, "") and "3 frames" in out
    assert clips.packets(tmp_path / "out" / "b.mp4", "audio") == clips.packets(source, "audio")
    code, out, err = run(source, "-o", tmp_path / "out" / "b.mp4")
    assert code == 2 and out == "" and "exists already" in err and err.count("\n") == 1


def test_several_videos_go_into_a_folder(tmp_path, tiny_model, capsys):
    sources = [clips.write(tmp_path / name, frames(2)) for name in ("a.mp4", "b.avi")]
    (tmp_path / "bad.mp4").write_text("no video")

    def call(*paths, target="out", overwrite=False):
        return restore_videos(list(paths), str(tmp_path / target), overwrite, None, lambda: Restorer(tiny_model))

    assert call(sources[0], tmp_path / "bad.mp4", sources[1]) == 1
    assert "bad.mp4 cannot be read as a video" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.mp4"]
    with pytest.raises(UsageError, match="exists already"):
        call(*sources)
    with pytest.raises(UsageError, match="both be restored to"):
        call(sources[0], tmp_path / "sub" / "a.avi", target="other")
    assert call(sources[0], target="out/", overwrite=True) == 0


def test_a_folder_of_videos_is_restored_and_continued(tmp_path, tiny_model, capsys):
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    for name in ("a.mp4", "sub/b.avi"):
        clips.write(source / name, frames(2))

    def call(target="out"):
        return restore_videos([source], str(tmp_path / target), False, None, lambda: Restorer(tiny_model))

    assert is_video(source) and call() == 0
    results = [tmp_path / "out" / "a.mp4", tmp_path / "out" / "sub" / "b.mp4"]
    first = results[0].read_bytes()
    results[1].unlink()
    assert call() == 0 and results[1].exists() and results[0].read_bytes() == first
    assert "1 of the results are there already" in capsys.readouterr().out
    # A folder with pictures is one of pictures.
    (source / "p.png").write_bytes(b"")
    assert not is_video(source)
    with pytest.raises(UsageError, match="in is not a video"):
        call("other")


def test_a_bad_video_in_a_folder_fails_alone(tmp_path, tiny_preset):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "bad.mp4").write_text("no video")

    def call():
        code, said, complaint = run(source, "-o", out, "--preset", tiny_preset)
        assert code == 1 and complaint == f"deblur-zoo: {source / 'bad.mp4'} cannot be read as a video.\n"
        return said

    # The folder has no other video, two good ones, and two whose results are there.
    assert call() == "" and not out.exists()
    for name in ("a.mp4", "c.mov"):
        clips.write(source / name, frames(2))
    assert call().count("2 frames in") == 2
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "c.mov"]
    assert call() == "2 of the results are there already and were skipped (see --overwrite)\n"


def test_an_error_without_a_name_gets_that_of_the_video(tmp_path, capsys):
    sources = [clips.write(tmp_path / name, frames(1)) for name in ("a.mp4", "b.mp4")]

    class Broken:
        def restore_video(self, *arguments):
            raise MemoryError

    assert restore_videos(sources, str(tmp_path / "out"), False, None, Broken) == 1
    assert capsys.readouterr().err == "".join(f"deblur-zoo: {source}: MemoryError\n" for source in sources)


def test_a_folder_of_photos_and_videos_is_one_of_photos(tmp_path, tiny_preset):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    pictures.write(source / "p.png", astronaut()[:64, :64])
    (source / "bad.png").write_text("no picture")
    for name in ("a.mp4", "bad.mp4"):
        (source / name).write_text("no video")
    code, said, complaint = run(source, "-o", out, "--preset", tiny_preset)
    assert code == 1 and said.startswith("Restored 1 picture in") and [path.name for path in out.iterdir()] == ["p.png"]
    assert f"{source / 'bad.png'} is not a picture" in complaint
    # What is left out is said, and nothing else.
    assert "2 .mp4 (a.mp4, bad.mp4)" in complaint and complaint.count("\n") == 3


def test_wrong_calls(tmp_path):
    source = clips.write(tmp_path / "a.mp4", frames(1))
    (tmp_path / "p.png").write_bytes(b"")
    (tmp_path / "bad.mp4").write_text("no video")
    for arguments, message in (
        ([source, "-o", tmp_path / "b.avi"], "must end in .mp4"),
        ([source, tmp_path / "p.png", "-o", tmp_path / "out"], "p.png is not a video"),
        ([source, "-o", tmp_path / "b.mp4", "--background=restore"], "--background restore is for photos"),
        ([source, "-o", tmp_path / "b.mp4", "--compare"], "--compare is for pictures"),
        ([source, "-o", tmp_path / "b.mp4", "--device=tpu"], "neither cpu nor gpu"),
        ([tmp_path / "bad.mp4", "-o", tmp_path / "b.mp4"], "cannot be read as a video"),
    ):
        code, out, err = run(*arguments)
        assert code == 2 and message in err and err.count("\n") == 1 and out == ""


def test_without_pyav_one_sentence_says_what_to_install(tmp_path):
    source = clips.write(tmp_path / "a.mp4", frames(1))
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "av.py").write_text("raise ImportError('no av')")
    path = os.pathsep.join([str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")])
    code, _, err = run(source, "-o", tmp_path / "b.mp4", env={**os.environ, "PYTHONPATH": path})
    assert code == 2 and err == "deblur-zoo: videos need PyAV: pip install 'deblur-zoo[video]'\n"


def test_ctrl_c_says_that_nothing_was_written(tmp_path, tiny_model, monkeypatch, capsys):
    source = clips.write(tmp_path / "a.mp4", frames(2))
    write_block = video._write_block

    def interrupted(*arguments):
        write_block(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(video, "_write_block", interrupted)
    # Sharp faces too: without them the video would be copied.
    restorer = Restorer(tiny_model, options=PhotoOptions(sharp_faces=True))
    target = tmp_path / "b.mp4"
    assert restore_videos([source], str(target), False, None, lambda: restorer) == 130
    assert f"Interrupted: {target} was not written." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]
