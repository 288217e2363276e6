"""The server asked by clients of others: TensorFlow Serving's own stubs and ovmsclient; and by many at once."""

import asyncio
import base64
import importlib.util
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.serving import protocol

grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")


@pytest.fixture
def stubs(server):
    """TensorFlow Serving's PredictionService and ModelService, as its own package calls them."""
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed (pip: --no-deps)")
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    with grpc.insecure_channel(server.grpc) as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def test_tensorflow_servings_stubs_predict(stubs):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    images = np.random.default_rng(1).random((3, 4, 5, 3), np.float32)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "tiny"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
    response = stubs[0].Predict(request, timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["restored"]), 1 - images)
    assert response.model_spec.version.value == 1

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "tiny", "serving_bytes"
    picture = tf.io.encode_png(np.full((2, 3, 3), 7, np.uint8)).numpy()
    request.inputs["encoded"].CopyFrom(tf.make_tensor_proto([picture, picture]))
    restored = tf.make_ndarray(stubs[0].Predict(request, timeout=30).outputs["restored_bytes"])
    np.testing.assert_array_equal(tf.io.decode_png(restored[1]), np.full((2, 3, 3), 248))


def test_tensorflow_servings_stubs_status_and_metadata(stubs):
    from tensorflow.core.framework import types_pb2
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "tiny"
    (version,) = stubs[1].GetModelStatus(request, timeout=30).model_version_status
    assert version.version == 1 and version.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "tiny"
    packed = stubs[0].GetModelMetadata(request, timeout=30).metadata["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    images = signatures.signature_def["serving_default"].inputs["images"]
    assert images.dtype == types_pb2.DT_FLOAT and [dim.size for dim in images.tensor_shape.dim] == [-1, -1, -1, 3]

    with pytest.raises(grpc.RpcError) as caught:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "none"
        stubs[1].GetModelStatus(request, timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


OVMS = """
import json, sys
import numpy as np
import ovmsclient
rest, grpc = sys.argv[1:]
images = np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3) / 32
for client in (ovmsclient.make_grpc_client(grpc), ovmsclient.make_http_client(rest)):
    restored = client.predict(inputs={"images": images}, model_name="tiny", model_version=1)
    status = client.get_model_status(model_name="tiny", model_version=1)
    metadata = client.get_model_metadata(model_name="tiny", model_version=1)
    if "inputs" not in metadata:
        # It knows OpenVINO's names in JSON only ("modelSpec"), and gives TensorFlow Serving's as they came.
        signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
        sizes = [int(dim["size"]) for dim in signature["inputs"]["images"]["tensor_shape"]["dim"]]
        metadata = {"inputs": {"images": {"shape": sizes}}}
    try:
        client.predict(inputs={"images": images}, model_name="none")
    except Exception as error:
        refused = type(error).__name__
    print(json.dumps([np.abs(restored - (1 - images)).max().item(), list(restored.shape),
                      status[1]["state"], metadata["inputs"]["images"]["shape"], refused]))
"""


def test_ovmsclient(server):
    """OpenVINO's client for TensorFlow Serving. In a process of its own: it brings its own messages.

    The version is said: by gRPC it otherwise asks for version 0, which to TensorFlow Serving is a version like others.
    """
    if importlib.util.find_spec("ovmsclient") is None:
        pytest.skip("ovmsclient is not installed (pip: --no-deps)")
    command = [sys.executable, "-c", OVMS, server.rest.removeprefix("http://"), server.grpc]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    for line in finished.stdout.splitlines():
        difference, shape, state, inputs, refused = json.loads(line)
        assert difference < 1e-6 and shape == [1, 2, 4, 3] and state == "AVAILABLE" and inputs == [-1, -1, -1, 3]
        assert refused == "ModelNotFoundError"
    assert len(finished.stdout.splitlines()) == 2


def test_120_concurrent_requests_each_get_their_own_answer(server, models_folder, png):
    """Floats of three sizes and files, over REST and gRPC; each beside a direct call of the SavedModel by itself."""
    import aiohttp
    import tensorflow as tf

    signatures = tf.saved_model.load(str(models_folder / "tiny" / "1")).signatures
    random = np.random.default_rng(2)
    requests = []
    for number in range(120):
        if number % 4 == 3:
            file = png(random.integers(0, 256, (random.integers(1, 9), random.integers(1, 9), 3)))
            (wanted,) = signatures["serving_bytes"](encoded=tf.constant([file]))["restored_bytes"].numpy()
            requests.append((number, "serving_bytes", file, wanted))
        else:
            size = [(6, 4), (3, 3), (8, 8)][number % 3]
            images = random.random((int(random.integers(1, 4)), *size, 3), np.float32)
            requests.append(
                (number, "serving_default", images, signatures["serving_default"](images=images)["restored"].numpy())
            )

    async def over_rest(session, signature, value):
        one = signature == "serving_bytes"
        instances = [{"b64": base64.b64encode(value).decode()}] if one else value.tolist()
        body = json.dumps({"signature_name": signature, "instances": instances})
        async with session.post(f"{server.rest}/v1/models/tiny:predict", data=body) as response:
            answer = json.loads(await response.read())
            assert response.status == 200, answer
        predictions = answer["predictions"]
        return base64.b64decode(predictions[0]["b64"]) if one else np.array(predictions, np.float32)

    async def over_grpc(predict, signature, value):
        request = protocol.PredictRequest(model_spec=protocol.ModelSpec(name="tiny", signature_name=signature))
        one = signature == "serving_bytes"
        request.inputs["encoded" if one else "images"].CopyFrom(protocol.to_tensor([value] if one else value))
        outputs = (await predict(request, timeout=60)).outputs
        answer = protocol.to_array(outputs["restored_bytes" if one else "restored"])
        return answer[0] if one else answer

    async def everything():
        path = "/tensorflow.serving.PredictionService/Predict"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            grpc.aio.insecure_channel(server.grpc) as channel,
        ):
            request_class, response_class = protocol.METHODS[path]
            predict = channel.unary_unary(path, request_class.SerializeToString, response_class.FromString)
            return await asyncio.gather(
                *(
                    over_rest(session, signature, value) if number % 2 else over_grpc(predict, signature, value)
                    for number, signature, value, _ in requests
                )
            )

    for (_, signature, _, wanted), answer in zip(requests, asyncio.run(everything()), strict=True):
        if signature == "serving_bytes":
            with Image.open(io.BytesIO(answer)) as got, Image.open(io.BytesIO(wanted)) as direct:
                np.testing.assert_array_equal(got, direct)
        else:
            np.testing.assert_array_equal(answer, wanted)
