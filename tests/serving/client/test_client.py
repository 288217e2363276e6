"""What is sent, and what comes back, over both protocols."""

import base64
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.serving import protocol
from deblur_zoo.serving.client import Client, InvalidRequest, ModelNotFound, ServingError, UnreadableAnswer
from deblur_zoo.serving.client.client import split_target

ROOT = Path(__file__).resolve().parents[3]
PROTOCOLS = ("rest", "grpc")


def pixels(*shape, seed=0, dtype=np.uint8):
    """Random pixels close to mid-grey, so that the server's negatives do not count as a failed network."""
    if dtype == np.uint8:
        return np.random.default_rng(seed).integers(96, 160, shape, dtype=np.uint8)
    return np.random.default_rng(seed).uniform(0.4, 0.6, shape).astype(dtype)


def mirrored(values):
    """What the fake server makes of uint8 pictures (..., W, C)."""
    return 255 - values[..., ::-1, :]


@pytest.fixture(params=PROTOCOLS)
def client(request, fake):
    with Client(fake.target[request.param], protocol=request.param, timeout=20, retries=0) as opened:
        yield opened


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 3), (3, 5, 7, 3), (40, 2, 3, 3)])
def test_uint8_pictures_come_back_in_their_shape_and_order(client, fake, shape):
    sent = pixels(*shape)
    np.testing.assert_array_equal(client.deblur(sent), mirrored(sent))
    # At most 16 pictures a request.
    assert len(fake.requests) == (3 if shape[0] == 40 else 1)


def test_grey_alpha_files_and_pil_images(client, tmp_path):
    grey = pixels(5, 7)
    np.testing.assert_array_equal(client.deblur(grey), 255 - grey[:, ::-1])
    with_alpha = pixels(5, 7, 4)
    expected = np.concatenate([mirrored(with_alpha[..., :3]), with_alpha[..., 3:]], axis=-1)
    np.testing.assert_array_equal(client.deblur(with_alpha), expected)
    colour = pixels(5, 7, 3)
    Image.fromarray(colour).save(tmp_path / "a.png")
    np.testing.assert_array_equal(client.deblur(tmp_path / "a.png"), mirrored(colour))
    np.testing.assert_array_equal(client.deblur(Image.fromarray(colour)), mirrored(colour))
    with pytest.raises(FileNotFoundError):
        client.deblur(tmp_path / "absent.png")


@pytest.mark.parametrize("signature", ["serving_bytes", "serving_default"])
def test_a_picture_that_changes_too_much_is_returned_unchanged(fake, signature):
    """Judged one by one: the negative of 96 is 63 levels away, 0.247 of the range, that of 95 is 65, 0.255."""
    sent = np.full((2, 4, 5, 3), 95, np.uint8)
    sent[0] = 96
    expected = sent.copy()
    expected[0] = 255 - sent[0]
    with Client(fake.rest, signature=signature) as client:
        np.testing.assert_array_equal(client.deblur(sent), expected)
        np.testing.assert_array_equal(list(client.deblur_many(sent)), expected)


def received(fake, place=-1):
    """(signature, values) of a request, read from its bytes."""
    _, path, _, body = fake.requests[place]
    if "/v1/" in path:
        request = json.loads(body)
        values = request["instances"]
        if isinstance(values[0], dict):
            return request["signature_name"], [base64.b64decode(value["b64"]) for value in values]
        return request["signature_name"], np.array(values)
    request = protocol.PredictRequest.FromString(body)
    ((name, tensor),) = request.inputs.items()
    assert name == {"serving_default": "images", "serving_bytes": "encoded"}[request.model_spec.signature_name]
    return request.model_spec.signature_name, protocol.to_array(tensor)


def test_eight_bit_pictures_go_as_lossless_files(client, fake):
    every_level = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    for sent in (every_level, every_level.astype(np.float32) / 255, every_level.astype(np.uint16) * 257):
        client.deblur(sent)
        signature, (file,) = received(fake)
        assert signature == "serving_bytes"
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file))), every_level)


def test_one_finer_value_is_enough_for_floats(client, fake):
    sent = np.full((4, 5, 3), 0.2, np.float32)
    sent[3, 4, 2] = 0.3 / 255
    client.deblur(sent)
    assert received(fake)[0] == "serving_default"


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_finer_pictures_keep_all_their_digits(client, fake, dtype):
    sent = pixels(4, 5, 3, dtype=np.float32) if dtype == np.float32 else (pixels(4, 5, 3).astype(np.uint16) * 256 + 1)
    restored = client.deblur(sent)
    signature, values = received(fake)
    as_floats = sent if dtype == np.float32 else sent.astype(np.float32) / 65535
    assert signature == "serving_default"
    # Exactly: as float64 too, what was read is the float32 that was sent.
    np.testing.assert_array_equal(values[0], as_floats.astype(np.float64))
    np.testing.assert_array_equal(restored, np.rint(255 * (1 - as_floats[:, ::-1])).astype(np.uint8))


def test_the_signature_may_be_chosen(fake):
    sent = pixels(4, 5, 3)
    for signature in ("serving_default", "serving_bytes"):
        with Client(fake.rest, signature=signature) as client:
            np.testing.assert_array_equal(client.deblur(sent), mirrored(sent))
        assert received(fake)[0] == signature


def test_called_with_floats_it_gives_floats(client, fake):
    sent = pixels(3, 4, 5, 3, dtype=np.float32)
    restored = client(sent, batch_size=2)
    assert restored.dtype == np.float32 and len(fake.requests) == 2
    np.testing.assert_array_equal(restored, 1 - sent[:, :, ::-1])
    with pytest.raises(ValueError, match=r"must be of shape \(N, H, W, 3\)"):
        client(sent[0])


def test_large_pictures_go_one_by_one(client, fake):
    # Two pictures of 600x420 pixels in the place of eight of 256x256.
    client.deblur(np.zeros((3, 600, 420, 3), np.uint8), batch_size=8)
    assert [len(received(fake, place)[1]) for place in range(2)] == [2, 1]


def encoded(values, form="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, form)
    return buffer.getvalue()


def test_files_of_several_sizes(client, fake):
    sent = [pixels(5, 7, 3), pixels(2, 3, 3, seed=1), pixels(9, 4, 3, seed=2)]
    restored = client.deblur_encoded([encoded(values) for values in sent])
    assert len(fake.requests) == 1
    for before, after in zip(sent, restored, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(after))), mirrored(before))
    assert client.deblur_encoded([]) == []
    with pytest.raises(TypeError, match="encoded pictures must be bytes, got ndarray"):
        client.deblur_encoded(sent)
    with pytest.raises(InvalidRequest) as error:
        client.deblur_encoded([b"no picture"])
    assert error.value.code == "INVALID_ARGUMENT" and isinstance(error.value, ValueError)


def test_raw_bytes_inside_json(fake):
    """As TensorFlow Serving writes strings whose output is not named ..._bytes: no valid UTF-8."""
    fake.raw_strings = True
    sent = pixels(50, 60, 3)
    with Client(fake.rest, retries=0) as client:
        np.testing.assert_array_equal(client.deblur(sent), mirrored(sent))
        answers = client.deblur_encoded([encoded(sent), encoded(sent[:5])])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answers[1]))), mirrored(sent[:5]))


def test_status_and_metadata(client):
    (version,) = client.status()
    assert (version.version, version.state, version.error_message) == (3, "AVAILABLE", "")
    metadata = client.metadata()
    assert metadata.version == 3 and set(metadata.signatures) == {"serving_default", "serving_bytes"}
    images = metadata.signatures["serving_default"].inputs["images"]
    assert (images.dtype, images.shape) == ("DT_FLOAT", (-1, -1, -1, 3))
    restored = metadata.signatures["serving_bytes"].outputs["restored_bytes"]
    assert (restored.dtype, restored.shape) == ("DT_STRING", (-1,))


@pytest.mark.parametrize(
    "options, path",
    [
        ({}, "/v1/models/one_step_lite"),
        ({"version": 3}, "/v1/models/one_step_lite/versions/3"),
        ({"version_label": "canary"}, "/v1/models/one_step_lite/labels/canary"),
        ({"model": "a name/b"}, "/v1/models/a%20name%2Fb"),
    ],
)
def test_the_model_and_its_version_are_named(fake, options, path):
    fake.models |= {"a%20name%2Fb", "a name/b"}
    sent = pixels(2, 2, 3)
    with Client(fake.rest, headers={"X-Token": "secret"}, **options) as client:
        client.status(), client.metadata(), client.deblur(sent)
    assert [request[1] for request in fake.requests] == [path, f"{path}/metadata", f"{path}:predict"]
    assert fake.requests[0][2]["X-Token"] == "secret"
    fake.requests.clear()
    with Client(fake.grpc, protocol="grpc", headers={"X-Token": "secret"}, **options) as client:
        client.status(), client.metadata(), client.deblur(sent)
    assert [request[1].rpartition(".")[2] for request in fake.requests] == [
        "ModelService/GetModelStatus",
        "PredictionService/GetModelMetadata",
        "PredictionService/Predict",
    ]
    messages = (protocol.GetModelStatusRequest, protocol.GetModelMetadataRequest, protocol.PredictRequest)
    for (_, _, headers, body), message in zip(fake.requests, messages, strict=True):
        specification = message.FromString(body).model_spec
        assert headers["x-token"] == "secret" and specification.name == options.get("model", "one_step_lite")
        assert specification.HasField("version") == ("version" in options)
        assert specification.version.value == options.get("version", 0)
        assert specification.version_label == options.get("version_label", "")


def test_an_unknown_model(fake):
    for name in PROTOCOLS:
        with Client(fake.target[name], "absent", name) as client:
            for ask in (client.status, client.metadata, lambda: client.deblur(pixels(2, 2, 3))):
                with pytest.raises(ModelNotFound, match=r"Servable not found for request: Latest\(absent\)") as error:
                    ask()
                assert error.value.code == "NOT_FOUND"
    # Asked once each: what is not there will not be there a moment later.
    assert len(fake.requests) == 6


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda values: values[:-1], "for"),
        (lambda values: [b"no picture"] * len(values), "no picture"),
        (lambda values: [encoded(pixels(3, 2, 3))] * len(values), "shape"),
        # An answer that would take more memory than what was sent.
        (lambda values: [encoded(np.zeros((2000, 2000, 3), np.uint8))] * len(values), "pixels"),
    ],
)
def test_an_answer_that_does_not_fit(client, fake, answer, message):
    fake.predict = lambda signature, values: answer(values)
    with pytest.raises(UnreadableAnswer, match=message):
        client.deblur(pixels(2, 2, 3, 3))


@pytest.mark.parametrize("answer", [np.full((1, 2, 3, 3), np.nan), np.zeros((1, 2, 2, 3)), np.zeros(3)])
def test_floats_that_do_not_fit(client, fake, answer):
    fake.predict = lambda signature, values: answer.astype(np.float32)
    with pytest.raises(UnreadableAnswer, match="answered, but sent (NaN|shape)"):
        client(pixels(1, 2, 3, 3, dtype=np.float32))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b'{"predictions": 7}', b'{"predictions": [[1], 2]}',
                                  b'{"predictions": [{"b64": "?"}]}', b"\xff\xfe", b"[" * 100_000])  # fmt: skip
def test_malformed_answers(fake, body):
    fake.script = [("answer", body)] * 4
    with Client(fake.rest, retries=0) as client:
        for ask in (client.status, client.metadata, lambda: client.deblur(pixels(2, 2, 3)),
                    lambda: client(pixels(1, 2, 2, 3, dtype=np.float32))):  # fmt: skip
            with pytest.raises(UnreadableAnswer) as error:
                ask()
            assert len(str(error.value)) < 400 and "\n" not in str(error.value)


def test_pipelined_results_keep_their_order(fake):
    sent = [pixels(4, 5 + i % 3, 3, seed=i) for i in range(20)]
    real = fake.predict

    def slow_first(signature, values):
        time.sleep(0.1 if np.asarray(Image.open(io.BytesIO(values[0]))).shape[1] == 5 else 0)
        return real(signature, values)

    fake.predict = slow_first
    taken = []

    def lazily():
        for i, picture in enumerate(sent):
            taken.append(i)
            yield picture

    with Client(fake.rest) as client:
        for i, restored in enumerate(client.deblur_many(lazily(), in_flight=4)):
            np.testing.assert_array_equal(restored, mirrored(sent[i]))
            # Read no further ahead than the places allow.
            assert len(taken) <= i + 1 + 4


@pytest.mark.parametrize("name", PROTOCOLS)
def test_several_requests_are_under_way(fake, name):
    barrier = threading.Barrier(5, timeout=10)
    real = fake.predict

    def together(signature, values):
        barrier.wait()
        return real(signature, values)

    fake.predict = together
    with Client(fake.target[name], protocol=name, retries=0) as client:
        # Each request waits for four others: fewer at once would break the barrier.
        assert len(list(client.deblur_many([pixels(2, 2, 3)] * 10, in_flight=5))) == 10


@pytest.mark.parametrize("dtype, most", [(np.float32, 1), (np.uint8, 4)])
def test_float_pictures_of_two_sizes_do_not_meet(fake, dtype, most):
    sizes, lock, seen = [], threading.Lock(), []
    real = fake.predict

    def watch(signature, values):
        size = values.shape[1:3] if dtype == np.float32 else Image.open(io.BytesIO(values[0])).size
        with lock:
            sizes.append(size)
            seen.append(len(set(sizes)))
        time.sleep(0.05)
        with lock:
            sizes.remove(size)
        return real(signature, values)

    fake.predict = watch
    sent = [pixels(4, 4 + i // 2, 3, seed=i, dtype=dtype) for i in range(8)]
    with Client(fake.rest) as client:
        list(client.deblur_many(sent, in_flight=4))
    assert max(seen) == 1 if most == 1 else max(seen) > 1


def test_errors_in_a_pipeline(fake, tmp_path):
    sent = [pixels(2, 3, 3), tmp_path / "absent.png", 7, pixels(2, 3, 3, seed=1)]
    with Client(fake.rest) as client:
        first, absent, wrong, last = client.deblur_many(sent, return_errors=True)
        np.testing.assert_array_equal(last, mirrored(sent[3]))
        assert isinstance(absent, FileNotFoundError) and isinstance(wrong, TypeError)
        with pytest.raises(FileNotFoundError):
            list(client.deblur_many(sent))
        with pytest.raises(ValueError, match="in_flight must be a whole number of at least 1"):
            client.deblur_many(sent, in_flight=0)


def test_a_closed_client(fake):
    for name in PROTOCOLS:
        client = Client(fake.target[name], protocol=name)
        client.close()
        with pytest.raises(ServingError, match="The client was closed"):
            client.deblur(pixels(2, 2, 3))


@pytest.mark.parametrize("target, expected", [("localhost:1", ("localhost", 1)), ("[::1]:8501", ("::1", 8501))])
def test_targets(target, expected):
    assert split_target(target) == expected


@pytest.mark.parametrize("target", ["localhost", "localhost:", ":1", "a:b", "a:0", "a:65536", "http://a:1", "::1:1"])
def test_wrong_targets(target):
    with pytest.raises(ValueError, match="a server must be HOST:PORT"):
        Client(target)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"protocol": "http"}, "protocol must be rest or grpc"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"version": 1, "version_label": "a"}, "not both"),
        ({"version": "1"}, "version must be a whole number"),
        ({"signature": "serving"}, "signature must be serving_default, serving_bytes or None"),
        ({"model": ""}, "model must be a name"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        Client("localhost:1", **options)


def test_neither_tensorflow_nor_keras_is_needed(fake):
    code = (
        "import sys, numpy as np; from deblur_zoo.serving import Client; sent = np.full((4, 5, 3), 100, np.uint8)\n"
        f"for name, target in {fake.target!r}.items():\n"
        "    with Client(target, protocol=name) as client:\n"
        "        assert (client.deblur(sent) == 155).all(); client.metadata(); client.status()\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'cv2', 'aiohttp'}\n"
        "print(*sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stdout, result.stderr) == (0, "\n", "")
