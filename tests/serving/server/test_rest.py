"""REST against answers worked out by hand and TensorFlow Serving's rules (api_rest.md, http_rest_api_handler.cc)."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

STATUS = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
# One picture of 1x2 pixels; version 1 answers 1 - x.
PICTURE, NEGATIVE = [[[0, 0.25, 1], [0.5, 0.75, 0.125]]], [[[1, 0.75, 0], [0.5, 0.25, 0.875]]]
TWO_STRINGS = [{"b64": "Yj0xMA=="}, {"b64": "Yj0tMjA="}]


@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_status_and_health(server, ask, path):
    assert ask(f"{server.rest}/v1/models/tiny{path}") == (200, {"model_version_status": [STATUS]})
    assert ask(f"{server.rest}/healthz") == (200, "ok\n")


def test_metadata(server, ask):
    status, found = ask(f"{server.rest}/v1/models/tiny/metadata")
    assert status == 200 and found["model_spec"] == {"name": "tiny", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    images = signatures["serving_default"]["inputs"]["images"]
    assert images["dtype"] == "DT_FLOAT" and images["tensor_shape"]["unknown_rank"] is False
    assert [dim["size"] for dim in images["tensor_shape"]["dim"]] == ["-1", "-1", "-1", "3"]
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
    assert signatures["serving_bytes"]["outputs"]["restored_bytes"]["dtype"] == "DT_STRING"


@pytest.mark.parametrize(
    "body, answer",
    [
        ({"instances": [PICTURE]}, {"predictions": [NEGATIVE]}),
        ({"instances": [{"images": PICTURE}, {"images": NEGATIVE}]}, {"predictions": [NEGATIVE, PICTURE]}),
        ({"inputs": {"images": [PICTURE]}}, {"outputs": [NEGATIVE]}),
        (
            {"signature_name": "two", "inputs": {"a": [[1, 2], [3, 4]], "b": [10, -20]}},
            # printf 'b=10' | base64
            {"outputs": {"sum": [[11, 12], [-17, -16]], "text": ["b=10", "b=-20"], "text_bytes": TWO_STRINGS}},
        ),
        ({"signature_name": "scalar", "inputs": 4}, {"outputs": 8}),
        ({"signature_name": "nothing", "inputs": {}}, {"outputs": 7}),
        (
            {"signature_name": "two", "instances": [{"a": [1, 2], "b": 10}]},
            {"predictions": [{"sum": [11, 12], "text": "b=10", "text_bytes": {"b64": "Yj0xMA=="}}]},
        ),
    ],
)
@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_predict(server, ask, body, answer, path):
    assert ask(f"{server.rest}/v1/models/tiny{path}:predict", body) == (200, answer)


@pytest.mark.parametrize("signature, form", [("serving_bytes", "PNG"), ("raw", "JPEG")])
def test_predict_files(server, ask, signature, form):
    """Grey, so that JPEG keeps it exactly; strings whose name does not end in _bytes come as they are."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((9, 5, 3), 100, np.uint8)).save(buffer, form, quality=100)
    # The padding may be left out.
    encoded = base64.b64encode(buffer.getvalue()).decode().rstrip("=")
    body = {"signature_name": signature, "instances": [{"b64": encoded}]}
    status, answer = ask(f"{server.rest}/v1/models/tiny:predict", body)
    assert status == 200
    (prediction,) = answer["predictions"]
    file = prediction.encode("latin-1") if signature == "raw" else base64.b64decode(prediction["b64"])
    with Image.open(io.BytesIO(file)) as picture:
        np.testing.assert_array_equal(picture, np.full((9, 5, 3), 155, np.uint8))


@pytest.mark.parametrize(
    "path, body, status, sentence",
    [
        ("none:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(none)"),
        ("tiny/versions/7:predict", {"instances": [1]}, 404, "Servable not found for request: Specific(tiny, 7)"),
        ("none", None, 404, "Latest(none)"),
        (f"tiny/versions/{10**30}", None, 400, "Malformed request: GET /v1/models/tiny/versions/"),
        ("tiny/labels/best:predict", {"instances": [1]}, 400, "Malformed request"),
        ("tiny:predict", None, 400, "Malformed request: GET /v1/models/tiny:predict"),
        ("tiny", {}, 400, "Malformed request: POST /v1/models/tiny"),
    ],
)
def test_wrong_paths(server, ask, path, body, status, sentence):
    got, answer = ask(f"{server.rest}/v1/models/{path}", body)
    assert got == status and list(answer) == ["error"] and sentence in answer["error"]


def two(a, b):
    return {"signature_name": "two", "inputs": {"a": a, "b": b}}


@pytest.mark.parametrize(
    "body, sentence",
    [
        (b"", "JSON Parse error"),
        (b"\xff\xfe\xfa", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error: Nested too deeply."),
        ({}, "Exactly one of the keys"),
        ({"instances": [1], "inputs": [1]}, "Exactly one of the keys"),
        ({"instances": []}, "a list with values"),
        ({"instances": [1], "signature_name": 5}, 'Serving signature name: "5" not found'),
        ({"instances": [[[["a", 1, 2]]]]}, "holds a string; float32 is expected"),
        ({"instances": [[[[True, 1, 2]]]]}, "holds true or false; float32 is expected"),
        ({"instances": [[[[None, 1, 2]]]]}, "holds null; float32 is expected"),
        # Python's name for itself, and what JSON has no word for: TensorFlow Serving takes both and gives NaN.
        (b'{"instances": [[[[NaN, 1, 2]]]]}', "holds NaN; finite numbers are accepted"),
        (b'{"instances": [[[[1, -Infinity, 2]]]]}', "holds -Infinity; finite numbers are accepted"),
        ({"instances": [[[[1e39, 1, 2]]]]}, "beyond the range of float32"),
        ({"instances": [[[[10**400, 1, 2]]]]}, "beyond the range of float32"),
        ({"instances": [[[[1, 2, 3], [1]]]]}, "of different lengths or depths"),
        (b'{"inputs": ' + b"[" * 50 + b"1" + b"]" * 50 + b"}", "nested too deeply"),
        ({"instances": [[[[1, 2, 3, 4]]]]}, "shape [1, 1, 1, 4]"),
        ({"instances": [[]]}, "shape [1, 0]"),
        ({"signature_name": "scalar", "instances": [4]}, "shape [1]; () is expected"),
        ({"instances": [{"wrong": [1]}]}, "with the inputs images"),
        ({"instances": [{"images": PICTURE}, PICTURE]}, "Each of 'instances'"),
        ({"signature_name": "two", "inputs": [1]}, "with the inputs a, b is expected"),
        (two([[1, 2]], [1.5]), "holds a fraction; int64 is expected"),
        (two([[1, 2]], [2**63]), "beyond the range of int64"),
        (two([[1, 2]], [1, 2]), "equal 0th-dimension size"),
        ({"signature_name": "serving_bytes", "instances": [{"b64": "!"}]}, "Unable to base64 decode"),
        ({"signature_name": "serving_bytes", "instances": ["text"]}, "Item 0 of the input encoded is not"),
        ({"signature_name": "slow", "instances": [0] * 17}, "Task size 17 is larger than maximum"),
    ],
)
def test_wrong_bodies(server, ask, body, sentence):
    status, answer = ask(f"{server.rest}/v1/models/tiny:predict", body)
    assert status == 400 and list(answer) == ["error"] and sentence in answer["error"]
