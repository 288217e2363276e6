"""A trained preset, exported and served."""

import io
import os
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
