"""gRPC against answers worked out by hand and TensorFlow Serving's status codes."""

import numpy as np
import pytest

grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")

from deblur_zoo.serving import protocol  # noqa: E402


@pytest.fixture
def refused(server, grpc_call):
    """Function (method, request) -> status code's name and message."""

    def call(method, request, **options):
        with pytest.raises(grpc.RpcError) as caught:
            grpc_call(server.grpc, method, request, **options)
        return caught.value.code().name, caught.value.details()

    return call


def test_predict(server, grpc_call, predict_request):
    """With all values, and in the short form of a tensor."""
    images = np.random.default_rng(0).random((2, 3, 5, 3), np.float32)
    request = predict_request(images=images)
    request.model_spec.version.value = 1
    response = grpc_call(server.grpc, "Predict", request)
    np.testing.assert_array_equal(protocol.to_array(response.outputs["restored"]), 1 - images)
    assert response.model_spec == protocol.ModelSpec(
        name="tiny", signature_name="serving_default", version={"value": 1}
    )
    response = grpc_call(server.grpc, "Predict", predict_request(images=protocol.filled_tensor(0.25, (2, 3, 4, 3))))
    assert (protocol.to_array(response.outputs["restored"]) == np.full((2, 3, 4, 3), 0.75)).all()


def test_outputs_are_filtered(server, grpc_call, predict_request, refused):
    request = predict_request("two", a=np.ones((2, 2), np.float32), b=np.array([5, 6]))
    assert set(grpc_call(server.grpc, "Predict", request).outputs) == {"sum", "text", "text_bytes"}
    request.output_filter.append("text")
    response = grpc_call(server.grpc, "Predict", request)
    assert set(response.outputs) == {"text"}
    assert protocol.to_array(response.outputs["text"]).tolist() == [b"b=5", b"b=6"]
    request.output_filter[1:] = ["other"]
    code, message = refused("Predict", request)
    assert code == "INVALID_ARGUMENT" and "output_filter takes" in message


def images(shape=(1, 2, 2, 3), dtype=np.float32, value=0):
    return np.full(shape, value, dtype)


TWO_OF_12 = protocol.TensorProto(dtype=1, float_val=[1, 2], tensor_shape=protocol.to_tensor(images()).tensor_shape)


@pytest.mark.parametrize(
    "options, code, sentence",
    [
        ({"model": "none", "images": images()}, "NOT_FOUND", "Servable not found for request: Latest(none)"),
        ({"model": "", "images": images()}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ({"signature": "x", "images": images()}, "FAILED_PRECONDITION", 'Serving signature key "x" not found.'),
        ({}, "INVALID_ARGUMENT", "takes images; sent was: "),
        ({"other": images()}, "INVALID_ARGUMENT", "takes images; sent was: other"),
        ({"images": [b"a"]}, "INVALID_ARGUMENT", "is of type DT_STRING, and float32 is expected"),
        ({"images": images((1, 2, 2, 4))}, "INVALID_ARGUMENT", "has shape [1, 2, 2, 4]"),
        ({"images": images((2, 2, 3))}, "INVALID_ARGUMENT", "has shape [2, 2, 3]"),
        ({"images": images((0, 2, 2, 3))}, "INVALID_ARGUMENT", "without empty sizes"),
        ({"images": images(value=np.nan)}, "INVALID_ARGUMENT", "holds NaN or infinity"),
        ({"images": TWO_OF_12}, "INVALID_ARGUMENT", "of shape (1, 2, 2, 3) holds 2 values instead of 12"),
        ({"images": protocol.filled_tensor(0, (1, -1, 2, 3))}, "INVALID_ARGUMENT", "has shape [1, -1, 2, 3]"),
        ({"images": images((17, 1, 1, 3))}, "INVALID_ARGUMENT", "Task size 17 is larger than maximum"),
        ({"signature": "serving_bytes", "encoded": [b"GIF"]}, "INVALID_ARGUMENT", "Item 0 of the input encoded is no"),
    ],
)
def test_wrong_requests(predict_request, refused, options, code, sentence):
    got, message = refused("Predict", predict_request(**options))
    assert got == code and sentence in message


def test_wrong_versions(predict_request, refused):
    request = predict_request(images=images())
    request.model_spec.version.value = 9
    assert refused("Predict", request) == ("NOT_FOUND", "Servable not found for request: Specific(tiny, 9)")
    request.model_spec.version_label = "best"
    code, message = refused("Predict", request)
    assert code == "INVALID_ARGUMENT" and "Unrecognized servable version label" in message
    request.ClearField("model_spec")
    assert refused("Predict", request) == ("INVALID_ARGUMENT", "Missing ModelSpec")


@pytest.mark.parametrize("fields", [["signature_def", "other"], []])
def test_other_metadata(refused, fields):
    request = protocol.GetModelMetadataRequest(model_spec=protocol.ModelSpec(name="tiny"), metadata_field=fields)
    assert refused("GetModelMetadata", request)[0] == "INVALID_ARGUMENT"


def test_a_deadline_is_kept(predict_request, refused):
    request = predict_request("slow", seconds=np.array([1], np.float32))
    assert refused("Predict", request, timeout=0.2)[0] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    "method, content, code",
    [
        ("PredictionService/Predict", b"\xff" * 20, "INTERNAL"),
        # Whoever could send it would choose which program the server runs.
        ("ModelService/HandleReloadConfigRequest", b"", "UNIMPLEMENTED"),
    ],
)
def test_what_is_no_request(server, method, content, code):
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/tensorflow.serving.{method}")(content, timeout=30)
    assert caught.value.code().name == code
