"""What the page of the demo shows for a photo, without the page."""

import numpy as np
import pytest
from PIL import Image, ImageCms
from scipy import ndimage
from skimage import data

from deblur_zoo.demo import answer
from deblur_zoo.faces.detection import Face
from deblur_zoo.files import pictures
from deblur_zoo.restoration import photo as photo_module
from deblur_zoo.restoration.photo import PhotoOptions
from deblur_zoo.restoration.restorer import Restorer
from deblur_zoo.restoration.working_size import Correction

# The astronaut's, as MTCNN finds it, to a pixel.
FACE = Face(
    np.array([176.0, 64, 276, 199]), np.array([[208.0, 112], [248, 113], [228, 137], [209, 158], [244, 159]]), 0.99
)


@pytest.fixture(scope="module")
def upload(tmp_path_factory):
    """A blurred photo with EXIF data and a colour profile."""
    blurred = ndimage.uniform_filter(data.astronaut(), (1, 9, 1))
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path_factory.mktemp("uploads") / "me.jpg"
    Image.fromarray(blurred).save(path, quality=95, exif=exif, icc_profile=profile, dpi=(300, 300))
    return path


@pytest.fixture
def faces(monkeypatch):
    """The faces that are found; the detector takes seconds."""
    found = [FACE]
    monkeypatch.setattr(photo_module, "find_faces", lambda *arguments, **named: list(found))
    return found


@pytest.fixture(autouse=True)
def no_model_is_kept():
    yield
    answer._models.clear()


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_the_download_is_what_the_library_writes(strength, upload, faces, tiny_preset, tmp_path):
    shares = []
    (tmp_path / "results").mkdir()
    found = answer.restore(upload, tiny_preset, strength, tmp_path / "results", progress=shares.append)
    assert found.message.startswith("Restored 1 face in ") and shares[-1] == 1 and shares == sorted(shares)
    assert found.download == tmp_path / "results" / "me_restored.jpg"
    result = Restorer(tiny_preset, options=PhotoOptions(strength=strength)).restore(upload)
    result.save(tmp_path / "mine.jpg")
    assert found.download.read_bytes() == (tmp_path / "mine.jpg").read_bytes()
    with Image.open(found.download) as image:
        assert image.getexif()[0x010F] == "A maker" and image.info["icc_profile"] and image.info["dpi"] == (300, 300)
    before, after, marked = (np.asarray(image) for image in (found.before, found.after, found.marked))
    assert np.array_equal(before, pictures.read(upload)) and np.array_equal(after, result.pixels)
    # The box's left edge, in the green of restored faces.
    assert (marked[100, 176] == (64, 220, 64)).all() and not (after[100, 176] == (64, 220, 64)).all()


def test_large_photos_are_shrunk_for_the_page(faces, tiny_preset, tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(np.tile(data.astronaut(), (1, 4, 1))).save(path)
    assert answer.preview(path).size == (1600, 400)
    found = answer.restore(path, tiny_preset, 1.0, tmp_path)
    assert found.after.size == found.marked.size == (1600, 400)
    with Image.open(found.download) as image:
        assert image.size == (2048, 512)


@pytest.mark.parametrize(
    ("strength", "count", "words"),
    [(1.0, 0, "No face was found"), (0.0, 1, "strength 0"), (1.0, 1, "The face looks sharp already"),
     (1.0, 2, "All 2 faces look sharp already")],
)  # fmt: skip
def test_an_unchanged_photo_has_a_reason_and_no_download(
    strength, count, words, upload, faces, tiny_preset, tmp_path, monkeypatch
):
    faces[:] = [FACE] * count
    # Faces that a network does not change are sharp.
    monkeypatch.setattr(Correction, "blurred", False)
    folder = tmp_path / "results"
    folder.mkdir()
    found = answer.restore(upload, tiny_preset, strength, folder)
    assert words in found.message and found.download is None and found.after is None
    assert (found.marked is None) == (count == 0) and list(folder.iterdir()) == []


def test_some_faces_are_sharp(upload, faces, tiny_preset, tmp_path):
    # The corner is of one colour, which the blur has left as it was.
    faces.append(Face(FACE.box * 0.2 + 400, FACE.points * 0.2 + [400.0, 400], 0.95))
    sharp = [False, True]

    def describe(*arguments):
        face = real(*arguments)
        face.restored = not sharp.pop(0)
        return face

    real = photo_module._describe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_module, "_describe", describe)
        found = answer.restore(upload, tiny_preset, 1.0, tmp_path)
    assert found.message.startswith("Restored 1 of 2 faces in ") and found.message.endswith("; 1 looks sharp already.")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("letter.jpg", b"dear", "letter.jpg is not a picture"), ("a.gif", None, "must end in one of .png"),
     ("big.png", None, "big.png has 60x40 pixels, more than the 2,000 that are accepted")],
)  # fmt: skip
def test_bad_uploads(name, content, words, tiny_preset, tmp_path):
    path, folder = tmp_path / name, tmp_path / "results"
    folder.mkdir()
    path.write_bytes(content) if content else Image.new("RGB", (60, 40)).save(path)
    found = answer.restore(path, tiny_preset, 1.0, folder, maximum_pixels=2000)
    assert words in found.message and str(tmp_path) not in found.message and found.download is None
    assert list(folder.iterdir()) == []
    if name != "a.gif":
        with pytest.raises(ValueError, match=words) as caught:
            answer.preview(path, maximum_pixels=2000)
        assert str(tmp_path) not in str(caught.value)


def test_no_upload(tmp_path):
    assert answer.restore(None, "one_step_lite", 1.0, tmp_path).message == "Choose a photo first."
