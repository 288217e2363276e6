"""Whole videos: what is restored, and what stays as it was."""

import functools
import resource
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.faces.detection import Face
from deblur_zoo.restoration.photo import PhotoOptions
from deblur_zoo.restoration.restorer import Restorer
from deblur_zoo.restoration.video import restore_video
from tests import written_clips as clips

# Eyes, nose and mouth of scikit-image's astronaut in the window that frames show.
CORNER = np.array([130, 30])
POINTS = np.array([[208.0, 112], [248, 113], [228, 137], [209, 158], [244, 159]]) - CORNER
SIZE = 192


@functools.cache
def picture(blur=3.0):
    from skimage.data import astronaut

    window = astronaut()[CORNER[1] : CORNER[1] + SIZE, CORNER[0] : CORNER[0] + SIZE].astype(np.float64)
    return ndimage.gaussian_filter(window, (blur, blur, 0))


def frames(count, noise=0.0, turns=0):
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        noisy = np.clip(picture() + noise * random.normal(size=picture().shape), 0, 255)
        pictures.append(clips.subsampled(clips.from_rgb(np.rot90(noisy, turns))))
    return pictures


def box_around(points):
    return np.array([*(points.min(axis=0) - 25), *(points.max(axis=0) + 25)])


def still(frame):
    assert frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8
    return [Face(box_around(POINTS), POINTS, 0.99)]


def unsharp(images):
    """A network that changes every picture."""
    return np.clip(3 * images - 2 * ndimage.gaussian_filter(images, (0, 2, 2, 0)), 0, 1).astype(np.float32)


def restore(source, target, network=unsharp, detector=still, maximum_pixels=10**6, **options):
    return restore_video(source, target, network, detector=detector, maximum_pixels=maximum_pixels, **options)


def luma(path):
    return [frame.to_ndarray(format="gray") for _, frame in clips.decoded(path)]


def planes_of(path):
    """float (frames, H, W): luma as it is stored."""
    stored = []
    for _, frame in clips.decoded(path):
        plane = frame.planes[0]
        stored.append(np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(float))
    return np.stack(stored)


def test_the_face_is_restored_and_everything_else_stays(tmp_path):
    source = clips.write(
        tmp_path / "a.mp4",
        frames(12),
        colorspace=6,
        color_range=1,
        color_primaries=6,
        color_trc=6,
        sound=0.5,
        metadata={"title": "On the beach"},
    )
    done = []
    result = restore(source, tmp_path / "b.mp4", progress=lambda *what: done.append(what))
    assert result.path == tmp_path / "b.mp4" and result.frames == 12 and result.remarks == []
    (face,) = result.faces
    assert face.restored and (face.track.first, face.track.last) == (0, 11)
    assert done[11] == ("finding faces", 12, 12) and done[-1] == ("restoring", 12, 12)
    before, after = planes_of(source), planes_of(tmp_path / "b.mp4")
    # The encoder's loss, around the face; within it the unsharp mask.
    around = np.ones((SIZE, SIZE), bool)
    around[36:172, 30:168] = False
    assert np.abs(after - before)[:, around].mean() < 1 and np.abs((after - before).mean(axis=0))[around].max() < 5
    assert np.abs(after - before)[:, 75:140, 75:120].mean() > 4
    assert ndimage.laplace(after[6])[75:140, 75:120].std() > 1.5 * ndimage.laplace(before[6])[75:140, 75:120].std()
    one, other = clips.decoded(source)[0][1], clips.decoded(tmp_path / "b.mp4")[0][1]
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        assert getattr(one, name) == getattr(other, name), name
    assert clips.packets(source, "audio") == clips.packets(tmp_path / "b.mp4", "audio")
    import av

    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.metadata["title"] == "On the beach"


@pytest.mark.parametrize("ending", ["mp4", "m4v", "mov", "mkv"])
def test_times_of_a_variable_frame_rate_are_kept(tmp_path, ending):
    times = [0, 100, 150, 900, 1000, 1003, 2000, 2100]
    source = clips.write(tmp_path / f"a.{ending}", frames(8), times=times, base=Fraction(1, 1000), sound=2.2)
    restore(source, tmp_path / f"b.{ending}")
    expected = [time for time, _ in clips.decoded(source)]
    assert [time for time, _ in clips.decoded(tmp_path / f"b.{ending}")] == expected
    assert np.allclose(expected, np.array(times) / 1000, atol=0.03)
    assert [t for t, _ in clips.packets(source, "audio")] == [
        t for t, _ in clips.packets(tmp_path / f"b.{ending}", "audio")
    ]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("degrees, turns", [(90, -1), (180, 2), (-90, 1)])
def test_which_way_up_and_the_shape_of_pixels_are_kept(tmp_path, ending, degrees, turns):
    source = clips.write(tmp_path / f"a.{ending}", frames(3, turns=turns), rotation=degrees)
    # The detector, `still`, sees the face upright at its place.
    result = restore(source, tmp_path / f"b.{ending}")
    assert result.faces[0].restored
    written = [clips.decoded(tmp_path / f"{name}.{ending}")[0][1].rotation % 360 for name in "ab"]
    assert written == [degrees % 360] * 2
    stored = np.abs(planes_of(tmp_path / f"b.{ending}") - planes_of(source)).mean(axis=0)
    upright = np.rot90(stored, -turns)
    assert upright[75:140, 75:120].mean() > 4 and upright[176:, :].mean() < 1.5


def test_pixels_that_are_not_square(tmp_path):
    import av

    source = clips.write(tmp_path / "a.mp4", [[p[:, ::2].copy() for p in f] for f in frames(3)], aspect=Fraction(2, 1))
    assert restore(source, tmp_path / "b.mp4").faces[0].restored
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
        assert container.streams.video[0].width == SIZE // 2


@pytest.mark.parametrize("ending", ["mp4", "m4v", "mkv"])
def test_ten_bits_stay_ten_bits(tmp_path, ending):
    ten = [[p.astype(np.uint16) * 4 + 1 for p in planes] for planes in frames(3)]
    tags = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 18}
    source = clips.write(tmp_path / "a.mkv", ten, format="yuv420p10le", codec="ffv1", **tags)
    assert restore(source, tmp_path / f"b.{ending}").faces[0].restored
    frame = clips.decoded(tmp_path / f"b.{ending}")[1][1]
    assert frame.format.name == "yuv420p10le"
    assert [frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc] == [9, 1, 9, 18]
    rows = np.frombuffer(frame.planes[0], np.uint16).reshape(SIZE, -1)[:, :SIZE].astype(int)
    assert np.abs(rows - ten[1][0])[165:].mean() < 4


def test_a_still_face_does_not_flicker(tmp_path):
    source = clips.write(tmp_path / "a.mkv", frames(24, noise=4.0), format="yuv420p", codec="ffv1")

    def flickering(images):
        return unsharp(images) + np.random.default_rng(0).normal(0, 0.02, (len(images), 1, 1, 1)).astype(np.float32)

    def variance(path):
        region = ndimage.uniform_filter(planes_of(path)[6:, 75:140, 75:120], (0, 5, 5))
        return region.var(axis=0).mean()

    restore(source, tmp_path / "b.mkv", flickering)
    from deblur_zoo.restoration import clip_faces

    before, after = variance(source), variance(tmp_path / "b.mkv")
    newest = clip_faces._NEWEST
    try:
        clip_faces._NEWEST = 1.0
        restore(source, tmp_path / "each.mkv", flickering)
    finally:
        clip_faces._NEWEST = newest
    each = variance(tmp_path / "each.mkv")
    assert each > 1.2 * before and after < 0.6 * each, (before, each, after)


def test_sharp_faces_and_videos_without_a_face_are_copied(tmp_path):
    source = clips.write(tmp_path / "a.mp4", frames(4))
    same = restore(source, tmp_path / "b.mp4", lambda images: images)
    assert not same.faces[0].restored and same.faces[0].blur == 0
    assert (tmp_path / "b.mp4").read_bytes() == source.read_bytes()
    assert restore(source, tmp_path / "c.mp4", detector=lambda frame: []).faces == []
    assert (tmp_path / "c.mp4").read_bytes() == source.read_bytes()
    # Another kind of file is written anew.
    restore(source, tmp_path / "d.mkv", lambda images: images)
    assert np.abs(planes_of(tmp_path / "d.mkv") - planes_of(source)).mean() < 1


def test_one_working_size_for_all_frames(tmp_path):
    sizes = []

    def network(images):
        sizes.append(images.shape[:2])
        return unsharp(images)

    result = restore(clips.write(tmp_path / "a.mp4", frames(20)), tmp_path / "b.mp4", network)
    # The last calls restore the frames, 16 and then 4 at once.
    size = result.faces[0].working_size
    assert sizes[-2:] == [(16, size), (4, size)]


def test_which_faces_are_chosen(tmp_path):
    small = 0.4 * POINTS + [8, 8]
    source = clips.write(tmp_path / "a.mp4", frames(3))

    def both(frame):
        return [Face(box_around(points), points, 0.99) for points in (POINTS, small)]

    def found(**options):
        result = restore(source, tmp_path / "b.mp4", detector=both, options=PhotoOptions(**options), overwrite=True)
        return sorted(face.size for face in result.faces)

    one, other = found()
    assert found(faces="largest") == [other] and found(minimum_size=60) == [other] and other > 2 * one
    assert found(faces="centre") == [other]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda path: path.write_bytes(b"not a video" * 100), ValueError, "cannot be read as a video"),
        (lambda path: path.write_bytes(b""), ValueError, "cannot be read as a video"),
        (lambda path: None, FileNotFoundError, "no file"),
    ],
)
def test_what_cannot_be_read(tmp_path, make, error, message):
    make(tmp_path / "a.mp4")
    with pytest.raises(error, match=message):
        restore(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert not list(tmp_path.glob("*b.mp4"))


def test_sound_alone(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match="has sound and no pictures"):
        restore(tmp_path / "a.mp4", tmp_path / "b.mp4")


def test_limits_and_files_that_exist(tmp_path):
    source = clips.write(tmp_path / "a.mp4", frames(2))
    with pytest.raises(ValueError, match=r"frames of 192 x 192; at most 1,000 pixels"):
        restore(source, tmp_path / "b.mp4", maximum_pixels=1000)
    (tmp_path / "b.mp4").write_text("older")
    with pytest.raises(FileExistsError, match="exists already"):
        restore(source, tmp_path / "b.mp4")
    assert (tmp_path / "b.mp4").read_text() == "older"
    with pytest.raises(ValueError, match="overwritten by its own result"):
        restore(source, source)
    with pytest.raises(ValueError, match=r"must end in \.mp4"):
        restore(source, tmp_path / "b.avi")
    restore(source, source, overwrite=True)
    assert len(clips.decoded(source)) == 2


def test_sound_that_the_file_cannot_hold(tmp_path):
    source = clips.write(tmp_path / "a.mkv", frames(2), sound=0.3, sound_codec="pcm_u8")
    with pytest.raises(ValueError, match=r"sound of a kind \(pcm_u8\).* \.mkv"):
        restore(source, tmp_path / "sub" / "b.mp4", detector=None)
    assert not (tmp_path / "sub").exists()
    restore(source, tmp_path / "b.mkv")
    assert [b for _, b in clips.packets(source, "audio")] == [b for _, b in clips.packets(tmp_path / "b.mkv", "audio")]


def test_an_error_leaves_nothing_half_written(tmp_path):
    source = clips.write(tmp_path / "a.mp4", frames(20))
    for error in (RuntimeError("broken"), KeyboardInterrupt()):

        def network(images, error=error):
            if len(images) == 4:
                raise error
            return unsharp(images)

        with pytest.raises(type(error)):
            restore(source, tmp_path / "b.mp4", network)
        assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_damaged_parts_are_left_out(tmp_path):
    source = clips.write(tmp_path / "a.mkv", frames(36), codec="ffv1", format="yuv420p")
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    source.write_bytes(content)
    result = restore(source, tmp_path / "b.mp4")
    assert 10 <= result.frames < 36 and len(clips.decoded(tmp_path / "b.mp4")) == result.frames
    assert any("of its 1.4 s" in remark or "Damaged" in remark for remark in result.remarks)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_minute_takes_no_more_memory_than_its_first_seconds(tmp_path):
    source = clips.write(tmp_path / "a.mp4", 60 * frames(10, noise=5), rate=10)
    memory: dict[str, list[float]] = {}

    def progress(stage, done, total):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory.setdefault(stage, []).append(pages * resource.getpagesize() / 1e6)

    assert restore(source, tmp_path / "b.mp4", progress=progress).frames == 600
    for megabytes in memory.values():
        # The encoder looks 40 to 60 frames ahead. All frames would take 33 MB as they are stored and 66 MB as RGB.
        assert max(megabytes) - megabytes[len(megabytes) // 5] < 20


def test_crops_are_no_videos(tiny_model, tmp_path):
    with pytest.raises(ValueError, match="crops=False"):
        Restorer(tiny_model, crops=True).restore_video("a.mp4", tmp_path / "b.mp4")
