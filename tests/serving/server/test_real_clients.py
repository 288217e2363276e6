"""The server asked by TensorFlow Serving's own stubs, and by many clients at once."""

import base64
import concurrent.futures
import io

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.files import pictures
from deblur_zoo.serving import protocol

grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")


def test_tensorflow_servings_own_stubs(server):
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed (pip: --no-deps)")
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    with grpc.insecure_channel(server.grpc) as channel:
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        states = model_service_pb2_grpc.ModelServiceStub(channel)
        images = np.random.default_rng(1).random((3, 4, 5, 3), np.float32)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "tiny"
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
        response = predictions.Predict(request, timeout=30)
        np.testing.assert_array_equal(tf.make_ndarray(response.outputs["restored"]), 1 - images)
        assert response.model_spec.version.value == 1

        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "tiny"
        (version,) = states.GetModelStatus(request, timeout=30).model_version_status
        assert version.version == 1 and version.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "tiny"
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert predictions.GetModelMetadata(request, timeout=30).metadata["signature_def"].Unpack(signatures)
        images = signatures.signature_def["serving_default"].inputs["images"]
        assert [dim.size for dim in images.tensor_shape.dim] == [-1, -1, -1, 3]


def test_120_requests_at_once_each_get_their_own_answer(server, ask, grpc_call, predict_request):
    """Floats of three sizes and files, over REST and gRPC; the model answers 1 - x, of files the negative."""

    def check(number):
        random = np.random.default_rng(number)
        if number % 4 == 3:
            pixels = random.integers(0, 256, (random.integers(1, 9), random.integers(1, 9), 3), np.uint8)
            name, values, right = "serving_bytes", [pictures.encode(pixels)], 255 - pixels
        else:
            size = [(6, 4), (3, 3), (8, 8)][number % 3]
            values = random.random((int(random.integers(1, 4)), *size, 3), np.float32)
            name, right = "serving_default", 1 - values
        if number % 2:
            instances = values.tolist() if number % 4 < 3 else [{"b64": base64.b64encode(values[0]).decode()}]
            body = {"signature_name": name, "instances": instances}
            status, answer = ask(f"{server.rest}/v1/models/tiny:predict", body)
            assert status == 200, answer
            got = answer["predictions"]
            got = base64.b64decode(got[0]["b64"]) if number % 4 == 3 else np.array(got, np.float32)
        else:
            outputs = grpc_call(server.grpc, "Predict", predict_request(name, images=values)).outputs
            got = protocol.to_array(outputs["restored"])
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(got))) if number % 4 == 3 else got, right)

    with concurrent.futures.ThreadPoolExecutor(120) as pool:
        for job in [pool.submit(check, number) for number in range(120)]:
            job.result()
