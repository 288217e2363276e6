"""The client, the command, the check and the document's examples against the embedded server."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from PIL import Image

from deblur_zoo.files import pictures as picture_files
from deblur_zoo.serving import check
from deblur_zoo.serving.client import Client, InvalidRequest, ModelNotFound
from deblur_zoo.zoo import golden
from exporters import serving_files

ROOT = Path(__file__).resolve().parents[3]
PROTOCOLS = ("rest", "grpc")


def write_model(folder):
    """A SavedModel with the two signatures of an exported preset, that mirrors and inverts."""
    tf = pytest.importorskip("tensorflow", reason="the embedded server runs TensorFlow")

    def restore(images):
        return 1 - images[:, :, ::-1]

    class Mirror(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="images")])
        def floats(self, images):
            return {"restored": restore(images)}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="encoded")])
        def files(self, encoded):
            def one(file):
                picture = tf.io.decode_image(file, channels=3, expand_animations=False)
                picture.set_shape((None, None, 3))
                restored = restore(tf.cast(picture, tf.float32)[tf.newaxis] / 255)[0]
                return tf.io.encode_png(tf.cast(tf.round(255 * restored), tf.uint8))

            return {"restored_bytes": tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec((), tf.string))}

    model = Mirror()
    signatures = {"serving_default": model.floats, "serving_bytes": model.files}
    tf.saved_model.save(model, str(folder), signatures=signatures)


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """The server's target for each protocol; it has ``one_step_lite``, version 1, whose folder bears that name."""
    pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "one_step_lite" / "1")
    from deblur_zoo.serving.server import embedded
    from deblur_zoo.serving.server.settings import Settings

    with embedded.running(Settings(models=str(folder))) as server:
        yield {"rest": server.rest.removeprefix("http://"), "grpc": server.grpc}


@pytest.fixture(params=PROTOCOLS)
def client(request, targets):
    with Client(targets[request.param], protocol=request.param, timeout=30) as opened:
        yield opened


def pixels(*shape, seed=0):
    """Random pixels close to mid-grey, so that the server's negatives do not count as a failed network."""
    return np.random.default_rng(seed).integers(96, 160, shape, dtype=np.uint8)


def mirrored(values):
    return 255 - values[..., ::-1, :]


def test_pictures_of_every_kind(client, targets):
    for sent in (pixels(5, 7, 3), pixels(20, 9, 4, 3)):
        np.testing.assert_array_equal(client.deblur(sent), mirrored(sent))
    grey = pixels(6, 5)
    np.testing.assert_array_equal(client.deblur(grey), 255 - grey[:, ::-1])
    fine = np.random.default_rng(1).uniform(0.4, 0.6, (3, 4, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(client(fine), 1 - fine[:, :, ::-1])
    np.testing.assert_array_equal(client.deblur(fine), np.rint(255 * (1 - fine[:, :, ::-1])).astype(np.uint8))


def test_many_sizes_at_once(client):
    sent = [pixels(4 + i % 3, 5 + i % 4, 3, seed=i) for i in range(40)]
    # Every other one as floats of more than 8 bits.
    given = [picture if i % 2 else np.minimum(picture / np.float32(255), 0.9999) for i, picture in enumerate(sent)]
    for picture, restored in zip(sent, client.deblur_many(given, in_flight=12), strict=True):
        np.testing.assert_array_equal(restored, mirrored(picture))
    files = [picture_files.encode(picture) for picture in sent]
    for picture, restored in zip(sent, client.deblur_encoded(files), strict=True):
        np.testing.assert_array_equal(picture_files.decode(restored), mirrored(picture))


def test_what_the_server_says_of_itself_is_the_same_over_both(targets):
    with Client(targets["rest"]) as rest, Client(targets["grpc"], protocol="grpc") as over_grpc:
        assert rest.status() == over_grpc.status() and rest.metadata() == over_grpc.metadata()
        assert [(entry.version, entry.state) for entry in rest.status()] == [(1, "AVAILABLE")]


def test_refusals(client):
    with pytest.raises(InvalidRequest):
        client.deblur_encoded([b"no picture"])
    with pytest.raises(InvalidRequest):
        client.predict("serving_default", np.zeros((2, 2), np.float32))
    # More pictures than the server's batches hold.
    with pytest.raises(InvalidRequest):
        client.deblur(np.zeros((40, 2, 2, 3), np.uint8), batch_size=40)
    for options in ({"version": 7}, {"model": "absent"}):
        other = Client(client._transport.server.rpartition(" ")[2], protocol=_protocol(client), **options)
        with other, pytest.raises(ModelNotFound):
            other.deblur(pixels(2, 2, 3))


def _protocol(client):
    return "rest" if type(client._transport).__name__.startswith("Rest") else "grpc"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_check(targets, name, tmp_path, capsys):
    pictures = golden.pictures(2, 16)
    restored = 65535 - 257 * pictures[:, :, ::-1].astype(np.uint16)
    np.savez(tmp_path / "golden.npz", images=pictures, restored=restored, weights_sha256=np.array("0"))
    assert check.check(targets[name], ["one_step_lite"], golden_file=tmp_path / "golden.npz") == 0
    assert "All 8 checks passed." in capsys.readouterr().out
    # Against the real preset's outputs, whose part this server only plays.
    assert check.check(targets[name]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        f"2 of 8 checks failed: one_step_lite by {name} (serving_default); one_step_lite by {name} (serving_bytes)"
    )


@pytest.mark.slow
def test_an_exported_preset_passes_the_check(tmp_path, capsys):
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SavedModels are written by the TensorFlow backend")
    import deblur_zoo
    from deblur_zoo.serving.server import embedded
    from deblur_zoo.serving.server.settings import Settings
    from exporters import saved_model

    path = saved_model.FORMAT.target("one_step_lite", tmp_path, 1)
    path.mkdir(parents=True)
    saved_model.write(deblur_zoo.load("one_step_lite"), path)
    with embedded.running(Settings(models=str(tmp_path))) as server:
        for target in (server.rest.removeprefix("http://"), server.grpc):
            assert check.check(target) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_command(targets, name, tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(12):
        picture_files.write(tmp_path / "in" / f"{i}.png", pixels(5, 6 + i % 3, 3, seed=i))
    command = [sys.executable, "-m", "deblur_zoo.serving.client", tmp_path / "in", "-o", tmp_path / "out"]
    result = subprocess.run([*command, "--server", targets[name], "--protocol", name], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for i in range(12):
        expected = mirrored(pixels(5, 6 + i % 3, 3, seed=i))
        np.testing.assert_array_equal(picture_files.read(tmp_path / "out" / f"{i}.png"), expected)


def examples(language):
    """The code blocks of docs/serving.md in a language."""
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def photo_folder(tmp_path, targets):
    """A folder with the files that the examples name."""
    picture_files.write(tmp_path / "face.png", pixels(128, 128, 3))
    picture_files.write(tmp_path / "face.jpg", pixels(128, 128, 3))
    (tmp_path / "crops").mkdir()
    for i in range(3):
        picture_files.write(tmp_path / "crops" / f"{i}.png", pixels(16, 16, 3, seed=i))
    portrait = picture_files.read(ROOT / "examples" / "astronaut_face_blurred.png")
    picture_files.write(tmp_path / "portrait.png", np.pad(portrait, ((100, 100), (100, 100), (0, 0)), mode="edge"))
    return tmp_path


def filled_in(example, targets):
    return example.replace("localhost:8501", targets["rest"]).replace("localhost:8500", targets["grpc"])


def run_python(example, folder, targets):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", filled_in(example, targets)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr


def test_the_documents_python_examples_run(targets, photo_folder):
    quick = [example for example in examples("python") if "portrait" not in example and "protoset" not in example]
    assert len(quick) == 1
    for example in quick:
        run_python(example, photo_folder, targets)
    expected = mirrored(pixels(128, 128, 3))
    np.testing.assert_array_equal(picture_files.read(photo_folder / "restored.png"), expected)


@pytest.mark.slow
def test_the_documents_example_with_a_photo_runs(targets, photo_folder):
    """Detection takes long to load."""
    (example,) = (example for example in examples("python") if "portrait" in example)
    run_python(example, photo_folder, targets)
    before, after = (
        picture_files.read(photo_folder / "portrait.png"),
        picture_files.read(photo_folder / "portrait_restored.png"),
    )
    # The face is mirrored and inverted by this server, and what is around it is not touched.
    assert np.abs(before.astype(int) - after)[140:180, 140:180].mean() > 20
    for corner in (np.s_[:30, :30], np.s_[-30:, -30:]):
        np.testing.assert_array_equal(after[corner], before[corner])


@pytest.mark.slow
def test_the_documents_messages_for_grpcurl(targets, photo_folder):
    """grpcurl's part, JSON to a message and back, is done by protobuf's json_format."""
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving.apis.predict_pb2", reason="needs tensorflow-serving-api")
    (example,) = (example for example in examples("python") if "protoset" in example)
    run_python(example, photo_folder, targets)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((photo_folder / "serving.protoset").read_bytes()).file:
        # Each file's dependencies stand before it.
        pool.Add(file)
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    encoded = base64.b64encode((photo_folder / "face.png").read_bytes()).decode()
    requests = [
        re.search(r"-d '(.*?)'.*?(tensorflow\.serving\.\S+)", text, re.DOTALL).groups(),
        re.search(r"printf '(\{\"model_spec.*?)' .*?(tensorflow\.serving\.Pred\S+)", text, re.DOTALL).groups(),
    ]
    answers = []
    for body, name in requests:
        method = pool.FindServiceByName(name.partition("/")[0]).FindMethodByName(name.partition("/")[2])
        request = json_format.Parse(
            body.replace("%s", encoded), message_factory.GetMessageClass(method.input_type)(), descriptor_pool=pool
        )
        with grpc.insecure_channel(targets["grpc"]) as channel:
            answer = channel.unary_unary(f"/{name}")(request.SerializeToString(), timeout=30)
        answer = message_factory.GetMessageClass(method.output_type).FromString(answer)
        answers.append(json_format.MessageToDict(answer, descriptor_pool=pool))
    assert answers[0]["model_version_status"][0]["state"] == "AVAILABLE"
    # As jq reads it.
    assert "jq -r '.outputs.restored_bytes.stringVal[0]'" in text
    picture = picture_files.decode(base64.b64decode(answers[1]["outputs"]["restored_bytes"]["stringVal"][0]))
    np.testing.assert_array_equal(picture, mirrored(pixels(128, 128, 3)))


def test_the_documents_manifest():
    """Kubernetes itself is not at hand: what the manifest says fits the files of the export and itself."""
    yaml = pytest.importorskip("yaml")
    (block,) = examples("yaml")
    deployment, service = yaml.safe_load_all(block)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load(serving_files._compose(["one_step_lite"], 8500, 8501))["services"]["deblur_zoo"]
    assert (container["image"], container["args"]) == (compose["image"], compose["command"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert [port["targetPort"] for port in service["spec"]["ports"]] == list(ports)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    (mount,), (volume,) = container["volumeMounts"], deployment["spec"]["template"]["spec"]["volumes"]
    assert mount["name"] == volume["name"] and mount["readOnly"] and mount["mountPath"] == serving_files.MODELS
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"].startswith("/v1/models/one_step_lite")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == serving_files.METRICS


@pytest.mark.skipif(None in map(shutil.which, ("curl", "jq", "bash")), reason="curl, jq or bash is not installed")
def test_the_documents_curl_examples_run(targets, photo_folder):
    blocks = [block for block in examples("bash") if "curl" in block]
    outputs = []
    for block in blocks:
        script = filled_in(block, targets)
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=photo_folder, capture_output=True)
        assert result.returncode == 0, result.stderr.decode()
        outputs.append(result.stdout.decode())
    # State and metadata; then a picture.
    assert '"AVAILABLE"' in outputs[0] and "restored_bytes" in outputs[0]
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO((photo_folder / "restored_by_curl.png").read_bytes()))),
        mirrored(pixels(128, 128, 3)),
    )
