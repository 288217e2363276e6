"""REST against answers worked out by hand and TensorFlow Serving's words (api_rest.md, http_rest_api_handler.cc)."""

import base64
import http.client
import io
import json

import numpy as np
import pytest
from PIL import Image

STATUS = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
# One picture of 1x2 pixels; version 1 answers 1 - x.
PICTURE, NEGATIVE = [[[0, 0.25, 1], [0.5, 0.75, 0.125]]], [[[1, 0.75, 0], [0.5, 0.25, 0.875]]]


@pytest.mark.parametrize("path", ["", "/versions/1"])
def test_status(server, ask, path):
    assert ask(f"{server.rest}/v1/models/tiny{path}") == (200, {"model_version_status": [STATUS]})


def test_metadata(server, ask):
    status, found = ask(f"{server.rest}/v1/models/tiny/metadata")
    assert status == 200 and found["model_spec"] == {"name": "tiny", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "serving_bytes", "two", "slow"} <= set(signatures)
    images = signatures["serving_default"]["inputs"]["images"]
    assert images["dtype"] == "DT_FLOAT"
    assert images["tensor_shape"]["unknown_rank"] is False
    assert [dim["size"] for dim in images["tensor_shape"]["dim"]] == ["-1", "-1", "-1", "3"]
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
    assert signatures["serving_bytes"]["outputs"]["restored_bytes"]["dtype"] == "DT_STRING"


@pytest.mark.parametrize(
    "body, answer",
    [
        ({"instances": [PICTURE]}, {"predictions": [NEGATIVE]}),
        ({"instances": [{"images": PICTURE}, {"images": NEGATIVE}]}, {"predictions": [NEGATIVE, PICTURE]}),
        ({"inputs": [PICTURE]}, {"outputs": [NEGATIVE]}),
        ({"inputs": {"images": [PICTURE]}}, {"outputs": [NEGATIVE]}),
        ({"signature_name": "serving_default", "instances": [PICTURE]}, {"predictions": [NEGATIVE]}),
        (
            {"signature_name": "two", "inputs": {"a": [[1, 2], [3, 4]], "b": [10, -20]}},
            {
                "outputs": {
                    "sum": [[11, 12], [-17, -16]],
                    "text": ["b=10", "b=-20"],
                    # printf 'b=10' | base64
                    "text_bytes": [{"b64": "Yj0xMA=="}, {"b64": "Yj0tMjA="}],
                }
            },
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


def test_predict_numbers_that_json_does_not_have(server, ask):
    body = b'{"instances": [[[[NaN, Infinity, -Infinity]]]]}'
    status, answer = ask(f"{server.rest}/v1/models/tiny:predict", body)
    np.testing.assert_array_equal(answer["predictions"], [[[[np.nan, -np.inf, np.inf]]]])


@pytest.mark.parametrize("signature", ["serving_bytes", "raw"])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("padding", [True, False])
def test_predict_files(server, ask, form, padding, signature):
    """Grey, so that JPEG keeps it exactly; strings whose name does not end in _bytes come as they are."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((9, 5, 3), 100, np.uint8)).save(buffer, form, quality=100)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    body = {"signature_name": signature, "instances": [{"b64": encoded if padding else encoded.rstrip("=")}]}
    status, answer = ask(f"{server.rest}/v1/models/tiny:predict", body)
    assert status == 200
    (prediction,) = answer["predictions"]
    if signature == "serving_bytes":
        assert list(prediction) == ["b64"]
        file = base64.b64decode(prediction["b64"])
    else:
        file = prediction.encode("latin-1")
    with Image.open(io.BytesIO(file)) as picture:
        np.testing.assert_array_equal(picture, np.full((9, 5, 3), 155, np.uint8))


@pytest.mark.parametrize(
    "path, body, status, sentence",
    [
        ("/v1/models/none:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(none)"),
        (
            "/v1/models/tiny/versions/7:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(tiny, 7)",
        ),
        ("/v1/models/tiny/labels/best:predict", {"instances": [1]}, 400, "Unrecognized servable version label: best"),
        ("/v1/models/none", None, 404, "Could not find any versions of model none"),
        ("/v1/models/tiny/versions/7", None, 404, "Could not find version 7 of model tiny"),
        ("/v1/models/none/metadata", None, 404, "Servable not found for request: Latest(none)"),
        ("/v1/models", None, 400, "Missing model name in request."),
        ("/v1/models/tiny:predict", None, 400, "Malformed request: GET /v1/models/tiny:predict"),
        ("/v1/models/tiny", {}, 400, "Malformed request: POST /v1/models/tiny"),
        ("/v1/foo", None, 400, "Malformed request: GET /v1/foo"),
        (f"/v1/models/tiny/versions/{2**63}", None, 400, f"Failed to convert version: {2**63} to numeric."),
        ("/v2/models/tiny", None, 404, "There is nothing at /v2/models/tiny"),
        ("/v1/models/tiny:classify", {"examples": []}, 501, "classify is not offered here"),
        ("/v1/models/tiny:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("/v1/models/tiny:predict", b'{"instances": [1', 400, "JSON Parse error"),
        ("/v1/models/tiny:predict", b"\xff\xfe\xfa", 400, "JSON Parse error"),
        ("/v1/models/tiny:predict", b"[" * 100_000, 400, "JSON Parse error: Nested too deeply."),
        ("/v1/models/tiny:predict", b"[1, 2]", 400, "JSON Value: [1, 2] Is not object"),
        ("/v1/models/tiny:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("/v1/models/tiny:predict", {"instances": [1], "inputs": [1]}, 400, "expecting only one of"),
        ("/v1/models/tiny:predict", {"instances": []}, 400, "No values in 'instances' array"),
        ("/v1/models/tiny:predict", {"instances": 3}, 400, "Excepting 'instances' to be an list/array"),
        ("/v1/models/tiny:predict", {"instances": [1], "signature_name": 5}, 400, "key must be a string value"),
        (
            "/v1/models/tiny:predict",
            {"instances": [1], "signature_name": "x"},
            400,
            'Serving signature name: "x" not found in signature def',
        ),
        ("/v1/models/tiny:predict", {"instances": [[[["a", 1, 2]]]]}, 400, "is not of expected type: float"),
        ("/v1/models/tiny:predict", {"instances": [[[[True, 1, 2]]]]}, 400, "is not of expected type: float"),
        ("/v1/models/tiny:predict", {"instances": [[[[None, 1, 2]]]]}, 400, "is not of expected type: float"),
        ("/v1/models/tiny:predict", {"instances": [[[[1e39, 1, 2]]]]}, 400, "without loss of precision"),
        ("/v1/models/tiny:predict", {"instances": [[[[1, 2, 3], [1]]]]}, 400, "list at unexpected size: 1 at level: 3"),
        ("/v1/models/tiny:predict", {"instances": [[[[1, 2, 3, 4]]]]}, 400, "shape [1,1,1,4]"),
        ("/v1/models/tiny:predict", {"instances": [[1, 2]]}, 400, "shape [1,2], and the signature serving_default"),
        ("/v1/models/tiny:predict", {"instances": [[]]}, 400, "shape [1,0]"),
        ("/v1/models/tiny:predict", {"instances": [[[]]]}, 400, "shape [1,1,0]"),
        (
            "/v1/models/tiny:predict",
            {"signature_name": "scalar", "instances": [4]},
            400,
            "shape [1], and the signature scalar takes []",
        ),
        ("/v1/models/tiny:predict", {"inputs": {"wrong": [1]}}, 400, "Missing named input: images"),
        ("/v1/models/tiny:predict", {"instances": [{"wrong": [1]}]}, 400, "does not have named input: wrong"),
        ("/v1/models/tiny:predict", {"signature_name": "two", "instances": [1]}, 400, "expecting list of objects"),
        ("/v1/models/tiny:predict", {"signature_name": "two", "inputs": [1]}, 400, "expecting an object"),
        (
            "/v1/models/tiny:predict",
            {"signature_name": "two", "inputs": {"a": [[1, 2]], "b": [1.5]}},
            400,
            "JSON Value: 1.5 Type: Number is not of expected type: int64",
        ),
        (
            "/v1/models/tiny:predict",
            {"signature_name": "two", "inputs": {"a": [[1, 2]], "b": [1, 2]}},
            400,
            "must have equal 0th-dimension size",
        ),
        (
            "/v1/models/tiny:predict",
            {"signature_name": "serving_bytes", "instances": [{"b64": "!"}]},
            400,
            "Unable to base64 decode",
        ),
        (
            "/v1/models/tiny:predict",
            {"signature_name": "serving_bytes", "instances": ["text"]},
            400,
            "Item 0 of the input encoded is no JPEG or PNG file",
        ),
        (
            "/v1/models/tiny:predict",
            {"signature_name": "slow", "instances": [0] * 17},
            400,
            "Task size 17 is larger than maximum input batch size 16",
        ),
    ],
)
def test_wrong_requests(server, ask, path, body, status, sentence):
    got, answer = ask(server.rest + path, body)
    assert got == status
    assert list(answer) == ["error"] and sentence in answer["error"]


def test_error_has_tensorflow_servings_form(server):
    """The example of api_rest.md, "half": status line, content type and body."""
    connection = http.client.HTTPConnection(server.rest.removeprefix("http://"), timeout=30)
    connection.request("POST", "/v1/models/half:predict", '{"instances": [1.0,5.0]}')
    response = connection.getresponse()
    assert (response.status, response.reason) == (404, "Not Found")
    assert response.headers["Content-Type"].startswith("application/json")
    assert json.loads(response.read()) == {"error": "Servable not found for request: Latest(half)"}
    connection.close()


def test_health_and_metrics(server, ask, counter):
    assert ask(f"{server.rest}/healthz")[0] == ask(f"{server.rest}/readyz")[0] == 200
    labels = ("deblur_zoo_requests_total", 'model="tiny"', 'method="Predict"', 'api="REST"', 'status="OK"')
    before, rows = counter(server, *labels), counter(server, "deblur_zoo_batch_rows_sum", 'signature="two"')
    ask(f"{server.rest}/v1/models/tiny:predict", {"signature_name": "two", "inputs": {"a": [[1, 2]] * 3, "b": [1] * 3}})
    assert counter(server, *labels) == before + 1
    assert counter(server, "deblur_zoo_batch_rows_sum", 'signature="two"') == rows + 3
    # Names that clients make up do not become labels.
    ask(f"{server.rest}/v1/models/made_up:predict", {"instances": [1]})
    assert counter(server, "deblur_zoo_requests_total", "made_up") == 0
    assert counter(server, "deblur_zoo_requests_total", 'model="unknown"', 'status="NOT_FOUND"') >= 1
    assert counter(server, "deblur_zoo_queue_length") == counter(server, "deblur_zoo_held_bytes") == 0
