"""Requests and answers against the classes of the package tensorflow-serving-api, and TensorFlow's own tensors."""

import numpy as np
import pytest

pytest.importorskip(
    "tensorflow_serving.apis.predict_pb2",
    reason="needs tensorflow-serving-api (pip install --no-deps tensorflow-serving-api) beside TensorFlow",
)
import tensorflow as tf  # noqa: E402
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2  # noqa: E402

from deblur_zoo.serving.client import Client  # noqa: E402

SENT = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)


def read(fake, message):
    body = fake.requests[-1][3]
    parsed = message.FromString(body)
    # Nothing that the public classes do not know.
    parsed.DiscardUnknownFields()
    assert parsed.ByteSize() == len(body)
    return parsed


def test_requests_as_the_public_classes_read_them(fake):
    with Client(fake.grpc, "one_step_lite", "grpc", version=7) as client:
        client.deblur(SENT)
        request = read(fake, predict_pb2.PredictRequest)
        assert (request.model_spec.name, request.model_spec.version.value) == ("one_step_lite", 7)
        assert request.model_spec.signature_name == "serving_bytes" and set(request.inputs) == {"encoded"}
        files = tf.make_ndarray(request.inputs["encoded"])
        for file, expected in zip(files, SENT, strict=True):
            np.testing.assert_array_equal(tf.io.decode_png(file), expected)

        floats = np.random.default_rng(1).random((2, 3, 4, 3)).astype(np.float32)
        client(floats)
        request = read(fake, predict_pb2.PredictRequest)
        assert request.model_spec.signature_name == "serving_default" and set(request.inputs) == {"images"}
        sent = tf.make_ndarray(request.inputs["images"])
        assert sent.dtype == np.float32
        np.testing.assert_array_equal(sent, floats)

        client.status()
        request = read(fake, get_model_status_pb2.GetModelStatusRequest)
        assert (request.model_spec.name, request.model_spec.version.value) == ("one_step_lite", 7)
        client.metadata()
        request = read(fake, get_model_metadata_pb2.GetModelMetadataRequest)
        assert list(request.metadata_field) == ["signature_def"]
    with Client(fake.grpc, "one_step_lite", "grpc", version_label="canary") as client:
        client.status()
        request = read(fake, get_model_status_pb2.GetModelStatusRequest)
        assert request.model_spec.version_label == "canary"


def test_answers_as_the_public_classes_write_them(fake):
    """TensorFlow writes small tensors into the list of values, large ones as bytes."""
    given = np.linspace(0, 1, 2 * 3 * 4 * 3, dtype=np.float32).reshape(2, 3, 4, 3)
    in_list = tf.make_tensor_proto(given)
    in_list.float_val.extend(given.ravel().tolist())
    in_list.tensor_content = b""
    with Client(fake.grpc, protocol="grpc", retries=0) as client:
        for tensor in (tf.make_tensor_proto(given), in_list):
            answer = predict_pb2.PredictResponse()
            answer.outputs["restored"].CopyFrom(tensor)
            answer.model_spec.version.value = 3
            fake.script = [("answer", answer.SerializeToString())]
            np.testing.assert_array_equal(client(np.zeros_like(given)), given)

        status = get_model_status_pb2.GetModelStatusResponse()
        for version, state, message in ((1, "END", ""), (2, "LOADING", "no memory")):
            entry = status.model_version_status.add(
                version=version, state=getattr(get_model_status_pb2.ModelVersionStatus, state)
            )
            entry.status.error_message = message
        fake.script = [("answer", status.SerializeToString())]
        found = client.status()
        assert [(entry.version, entry.state, entry.error_message) for entry in found] == [
            (1, "END", ""),
            (2, "LOADING", "no memory"),
        ]

        metadata = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        images = signatures.signature_def["serving_default"].inputs["images"]
        images.dtype = tf.float32.as_datatype_enum
        images.tensor_shape.CopyFrom(tf.TensorShape([None, 128, 128, 3]).as_proto())
        signatures.signature_def["serving_default"].outputs["scores"].dtype = tf.bfloat16.as_datatype_enum
        signatures.signature_def["serving_default"].outputs["scores"].tensor_shape.unknown_rank = True
        metadata.metadata["signature_def"].Pack(signatures)
        metadata.model_spec.version.value = 12
        fake.script = [("answer", metadata.SerializeToString())]
        found = client.metadata()
    signature = found.signatures["serving_default"]
    assert found.version == 12
    assert (signature.inputs["images"].dtype, signature.inputs["images"].shape) == ("DT_FLOAT", (-1, 128, 128, 3))
    assert signature.outputs["scores"].shape is None
