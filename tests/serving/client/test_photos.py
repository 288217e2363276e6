"""Whole photos: faces are found and blended back here, and a model on a server restores them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.files import pictures
from deblur_zoo.restoration.restorer import Restorer
from deblur_zoo.serving.client import Client
from tests.commands import run_python

PHOTO = Path(__file__).resolve().parents[3] / "examples" / "astronaut_blurred.jpg"
PROTOCOLS = ("rest", "grpc")


class Sharpened:
    """An unsharp mask in NumPy: what ``targets``' server computes in TensorFlow."""

    name = "one_step_lite"

    def run(self, images):
        padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
        height, width = images.shape[1:3]
        shifted = [padded[:, y : y + height, x : x + width] for y in range(7) for x in range(7)]
        return np.clip(2 * images - sum(shifted) / np.float32(49), 0, 1)


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    tf = pytest.importorskip("tensorflow", reason="the embedded server and the detector run TensorFlow")
    pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
    from deblur_zoo.serving.server import embedded
    from deblur_zoo.serving.server.settings import Settings

    class Sharpen(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="images")])
        def floats(self, images):
            mean = tf.nn.depthwise_conv2d(images, tf.ones((7, 7, 3, 1)) / 49, (1, 1, 1, 1), "SAME")
            return {"restored": tf.clip_by_value(2 * images - mean, 0, 1)}

    folder = tmp_path_factory.mktemp("models")
    model = Sharpen()
    tf.saved_model.save(model, str(folder / "one_step_lite" / "1"), signatures={"serving_default": model.floats})
    with embedded.running(Settings(models=str(folder))) as server:
        yield {"rest": server.rest.removeprefix("http://"), "grpc": server.grpc}


@pytest.fixture
def photos(tmp_path, colour_profiles):
    """A folder with a photo that has EXIF data and a wide colour profile, and one without a face."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(PHOTO) as image:
        exif = image.getexif()
        exif[0x010E] = "Eileen Collins"
        profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
        image.resize((image.width // 2, image.height // 2)).save(folder / "a.png", exif=exif, icc_profile=profile)
    pictures.write(folder / "grey.png", np.full((96, 128, 3), 90, np.uint8))
    return folder


def run(*arguments):
    return run_python("-m", "deblur_zoo.serving.client", "--photos", *arguments)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_photos_become_what_the_restorer_makes_of_them(targets, photos, tmp_path, protocol):
    (photos / "bad.png").write_text("no picture")
    out = tmp_path / "out"
    result = run(photos, "-o", out, "--server", targets[protocol], "--protocol", protocol)
    assert result.returncode == 1
    assert result.stdout.startswith(f"Restored 2 pictures in {out} with one_step_lite at {targets[protocol]} in ")
    assert f"1 picture without a face, left unchanged: {out / 'grey.png'}" in result.stdout
    assert result.stderr.count("\n") == 2 and f"{photos / 'bad.png'} is not a picture" in result.stderr
    assert (out / "grey.png").read_bytes() == (photos / "grey.png").read_bytes()

    here = Restorer(Sharpened()).restore(photos / "a.png")
    assert [face.restored for face in here.faces] == [True]
    here.save(tmp_path / "here.png")
    expected, restored = (np.asarray(Image.open(path)) for path in (tmp_path / "here.png", out / "a.png"))
    # Both protocols keep float32's digits; the order of its sums may turn a rounding.
    assert np.abs(expected.astype(int) - restored).max() <= 1 and (expected != restored).mean() < 0.001
    assert np.abs(restored.astype(int) - np.asarray(Image.open(photos / "a.png"))).max() > 20
    with Image.open(photos / "a.png") as before, Image.open(out / "a.png") as after:
        assert after.getexif()[0x010E] == "Eileen Collins"
        assert after.info["icc_profile"] == before.info["icc_profile"]


def test_existing_results_are_kept(targets, photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.png", "grey.png"):
        (out / name).write_text("older")
    result = run(photos, "-o", out, "--server", targets["grpc"], "--protocol=grpc")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("2 pictures skipped: the results exist")
    result = run(photos / "a.png", "-o", out / "a.png", "--server", targets["grpc"], "--protocol=grpc")
    assert result.returncode == 2 and f"{out / 'a.png'} exists already" in result.stderr
    assert (out / "a.png").read_text() == (out / "grey.png").read_text() == "older"


def test_crops_flags_are_rejected(photos, tmp_path):
    result = run(photos, "-o", tmp_path / "out", "--server=localhost:1", "--in_flight=2")
    assert result.returncode == 2 and "--in_flight is for crops" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_server_that_goes_away(fake, photos, tmp_path):
    """After it has told its status."""
    fake.script = [None] + [("drop",)] * 100
    result = run(photos / "a.png", photos / "grey.png", "-o", tmp_path / "out", "--server", fake.rest, "--retries=1")
    assert result.returncode == 1 and not (tmp_path / "out").exists()
    assert "deblur-zoo-client: stopped with 2 pictures left: The server" in result.stderr


@pytest.mark.slow
def test_an_exported_preset_restores_as_the_preset_does(tmp_path):
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModels are written by the TensorFlow backend")
    import deblur_zoo
    from deblur_zoo.serving.server import embedded
    from deblur_zoo.serving.server.settings import Settings
    from exporters import saved_model

    model = deblur_zoo.load("one_step_lite")
    path = saved_model.FORMAT.target("one_step_lite", tmp_path, 1)
    path.mkdir(parents=True)
    saved_model.write(model, path)
    here = Restorer(model).restore(PHOTO)
    assert np.abs(here.pixels.astype(int) - pictures.read(PHOTO)).max() > 20
    # Machines that run tests can be slow.
    settings = Settings(models=str(tmp_path), rest_api_timeout_in_ms=600_000)
    with embedded.running(settings) as server:
        for protocol, target in (("rest", server.rest.removeprefix("http://")), ("grpc", server.grpc)):
            with Client(target, protocol=protocol, timeout=600) as client:
                there = Restorer(client).restore(PHOTO)
            assert [face.working_size for face in there.faces] == [face.working_size for face in here.faces]
            difference = np.abs(there.pixels.astype(int) - here.pixels)
            assert difference.max() <= 1 and (difference > 0).mean() < 0.001
