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


@pytest.mark.parametrize("version", [None, 1])
def test_predict(server, grpc_call, predict_request, version):
    images = np.random.default_rng(0).random((2, 3, 5, 3), np.float32)
    request = predict_request(images=images)
    if version:
        request.model_spec.version.value = version
    response = grpc_call(server.grpc, "Predict", request)
    np.testing.assert_array_equal(protocol.to_array(response.outputs["restored"]), 1 - images)
    expected = protocol.ModelSpec(name="tiny", signature_name="serving_default")
    expected.version.value = 1
    assert response.model_spec == expected


def test_short_form_of_a_tensor(server, grpc_call, predict_request):
    response = grpc_call(server.grpc, "Predict", predict_request(images=protocol.filled_tensor(0.25, (2, 3, 4, 3))))
    np.testing.assert_array_equal(
        protocol.to_array(response.outputs["restored"]), np.full((2, 3, 4, 3), 0.75, np.float32)
    )


def test_outputs_are_filtered(server, grpc_call, predict_request, refused):
    request = predict_request("two", a=np.ones((2, 2), np.float32), b=np.array([5, 6]))
    assert set(grpc_call(server.grpc, "Predict", request).outputs) == {"sum", "text", "text_bytes"}
    request.output_filter.append("text")
    response = grpc_call(server.grpc, "Predict", request)
    assert set(response.outputs) == {"text"}
    assert protocol.to_array(response.outputs["text"]).tolist() == [b"b=5", b"b=6"]
    for wrong in ("text", "other"):
        request.output_filter[1:] = [wrong]
        code, message = refused("Predict", request)
        assert code == "INVALID_ARGUMENT" and "output_filter takes each of" in message


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
        ({"images": images(), "more": images()}, "INVALID_ARGUMENT", "more"),
        ({"other": images()}, "INVALID_ARGUMENT", "takes images; sent was: other"),
        ({"images": images(dtype=np.float64)}, "INVALID_ARGUMENT", "is of type DT_DOUBLE, and float32 is expected"),
        ({"images": [b"a"]}, "INVALID_ARGUMENT", "is of type DT_STRING, and float32 is expected"),
        ({"images": images((1, 2, 2, 4))}, "INVALID_ARGUMENT", "has shape [1, 2, 2, 4]"),
        ({"images": images((2, 2, 3))}, "INVALID_ARGUMENT", "has shape [2, 2, 3]"),
        ({"images": images((1, 0, 2, 3))}, "INVALID_ARGUMENT", "without empty sizes"),
        ({"images": images((0, 2, 2, 3))}, "INVALID_ARGUMENT", "without empty sizes"),
        ({"images": images(value=np.nan)}, "INVALID_ARGUMENT", "holds NaN or infinity"),
        ({"images": images(value=np.inf)}, "INVALID_ARGUMENT", "holds NaN or infinity"),
        ({"images": TWO_OF_12}, "INVALID_ARGUMENT", "of shape (1, 2, 2, 3) holds 2 values instead of 12"),
        ({"images": protocol.filled_tensor(0, (1, -1, 2, 3))}, "INVALID_ARGUMENT", "has shape [1, -1, 2, 3]"),
        ({"images": images((17, 1, 1, 3))}, "INVALID_ARGUMENT", "Task size 17 is larger than maximum"),
        ({"signature": "serving_bytes", "encoded": [b"GIF"]}, "INVALID_ARGUMENT", "Item 0 of the input encoded is no"),
        (
            {"signature": "two", "a": images((1, 2)), "b": np.array([1, 2])},
            "INVALID_ARGUMENT",
            "equal 0th-dimension size",
        ),
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


def test_status(server, grpc_call, refused):
    request = protocol.GetModelStatusRequest(model_spec=protocol.ModelSpec(name="tiny"))
    (version,) = grpc_call(server.grpc, "GetModelStatus", request).model_version_status
    assert (version.version, version.state, version.status.error_code) == (1, 30, 0)
    request.model_spec.version.value = 5
    assert refused("GetModelStatus", request) == ("NOT_FOUND", "Could not find version 5 of model tiny")


def test_metadata(server, grpc_call, refused):
    specification = protocol.ModelSpec(name="tiny")
    request = protocol.GetModelMetadataRequest(model_spec=specification, metadata_field=["signature_def"])
    response = grpc_call(server.grpc, "GetModelMetadata", request)
    assert (response.model_spec.name, response.model_spec.version.value) == ("tiny", 1)
    packed = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = protocol.SignatureDefMap.FromString(packed.value).signature_def
    sizes = [dim.size for dim in signatures["two"].inputs["a"].tensor_shape.dim]
    assert (sizes, signatures["two"].inputs["b"].dtype) == ([-1, 2], 9)
    for fields in (["signature_def", "other"], []):
        request.metadata_field[:] = fields
        assert refused("GetModelMetadata", request)[0] == "INVALID_ARGUMENT"


def test_health(server, grpc_call, refused):
    for service in ("", "tensorflow.serving.PredictionService"):
        assert grpc_call(server.grpc, "Check", protocol.HealthCheckRequest(service=service)).status == 1
    assert refused("Check", protocol.HealthCheckRequest(service="x"))[0] == "NOT_FOUND"


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
