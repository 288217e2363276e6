"""A trained preset, exported and served; and memory over many versions."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.serving import protocol

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server import embedded  # noqa: E402
from deblur_zoo.serving.server.settings import Settings  # noqa: E402

ROOT = Path(__file__).parents[3]
MEBIBYTE = 1 << 20


@pytest.mark.slow
def test_an_exported_preset(tmp_path, grpc_call, predict_request):
    """Over the wire as in the Keras model: floats within 1e-4, as the exporter itself demands; files within a level."""
    skimage_data = pytest.importorskip("skimage.data")
    from deblur_zoo import zoo

    command = [sys.executable, "-m", "exporters", "--preset", "one_step_lite", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "KERAS_BACKEND": "tensorflow"})
    model = zoo.load("one_step_lite")
    astronaut = skimage_data.astronaut()[:160, 150:310]
    crops = np.stack([astronaut[row : row + 128, row : row + 128] for row in (0, 10, 20, 30)])
    buffer = io.BytesIO()
    Image.fromarray(astronaut).save(buffer, "PNG")
    with embedded.running(Settings(models=str(tmp_path))) as server:
        floats = crops.astype(np.float32) / 255
        response = grpc_call(server.grpc, "Predict", predict_request(model="one_step_lite", images=floats))
        np.testing.assert_allclose(
            protocol.to_array(response.outputs["restored"]), np.asarray(model(floats, training=False)), atol=1e-4
        )
        request = predict_request("serving_bytes", "one_step_lite", encoded=[buffer.getvalue()])
        ((file,),) = map(protocol.to_array, grpc_call(server.grpc, "Predict", request).outputs.values())
        with Image.open(io.BytesIO(file)) as picture:
            difference = np.asarray(picture, int) - model.deblur(astronaut)
        assert np.abs(difference).max() <= 1


@pytest.mark.slow
def test_versions_that_come_and_go_leave_no_memory(tmp_path, grpc_call, predict_request, until):
    """Thirty versions, each with a variable of 40 MiB: two are in memory at a time, so 200 MiB is room for both, for
    the file that is read, and for what TensorFlow keeps of each."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("there is no /proc here")

    class Heavy(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.random.normal((10 * MEBIBYTE,)))

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="images")])
        def floats(self, images):
            return {"restored": images + self.weight[0] * 0}

    heavy = Heavy()
    tf.saved_model.save(heavy, str(tmp_path / "saved"), signatures={"serving_default": heavy.floats})
    del heavy
    models = tmp_path / "models" / "heavy"
    models.mkdir(parents=True)
    shutil.copytree(tmp_path / "saved", models / "1")
    sizes = []
    with embedded.running(Settings(models=str(models.parent), poll_s=0.05)) as server:
        request = predict_request(model="heavy", images=np.zeros((1, 2, 2, 3), np.float32))

        def answering():
            return grpc_call(server.grpc, "Predict", request).model_spec.version.value

        for number in range(2, 32):
            shutil.copytree(tmp_path / "saved", models / "copying")
            (models / "copying").rename(models / str(number))
            shutil.rmtree(models / str(number - 1))
            until(lambda: answering() == number, seconds=30)  # noqa: B023
            sizes.append(int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    # The first few versions fill what stays.
    assert max(sizes[5:]) - sizes[4] < 200 * MEBIBYTE
