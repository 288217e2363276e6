"""The files are read back by what reads them: message descriptors, a YAML reader, a shell."""

import functools
import http.server
import json
import subprocess
import threading

import pytest
from google.protobuf import text_format

from deblur_zoo.serving import protocol
from exporters import serving_files
from exporters.saved_model import LARGEST_BATCH


def model_folder(out, name, *versions, file="saved_model.pb"):
    for version in versions:
        (out / name / version).mkdir(parents=True)
        (out / name / version / file).touch()


@pytest.fixture
def out(tmp_path):
    model_folder(tmp_path, "umsn_lite", "1")
    model_folder(tmp_path, "one_step", "2", "10")
    # None of these is a model's folder.
    model_folder(tmp_path, "phones", "tflite")
    model_folder(tmp_path, "half", "1", file="variables.index")
    model_folder(tmp_path, ".one_step.partial-x", "1")
    (tmp_path / "readme.txt").touch()
    return tmp_path


def read(path, message):
    return text_format.Parse(path.read_text(), message())


def test_every_model_is_listed(out):
    written = serving_files.write(out)
    assert [path.relative_to(out).as_posix() for path in written] == [
        f"serving/{name}"
        for name in ("models.config", "batching.config", "monitoring.config", "compose.yaml", "compose.gpu.yaml")
    ]
    listed = read(written[0], protocol.ModelServerConfig).model_config_list.config
    assert [(config.name, config.base_path, config.model_platform) for config in listed] == [
        ("one_step", "/models/one_step", "tensorflow"),
        ("umsn_lite", "/models/umsn_lite", "tensorflow"),
    ]


def test_a_gpu_is_asked_for_on_top(out):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    compose, gpu = (yaml.safe_load(path.read_text())["services"]["deblur_zoo"] for path in serving_files.write(out)[3:])
    # Compose merges the second file into the first: what it does not name stays.
    assert set(gpu) == {"image", "deploy"} and gpu["image"] == compose["image"] + "-gpu"
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_batching_and_monitoring(out):
    _, batching, monitoring, *_ = serving_files.write(out)
    parameters = read(batching, protocol.BatchingParameters)
    assert parameters.max_batch_size.value == LARGEST_BATCH == 16
    assert (parameters.batch_timeout_micros.value, parameters.max_enqueued_batches.value) == (1000, 32)
    # Padding would change pictures.
    assert not parameters.pad_variable_length_inputs and not parameters.allowed_batch_sizes
    config = read(monitoring, protocol.MonitoringConfig).prometheus_config
    assert config.enable and config.path == "/monitoring/prometheus/metrics"
    for path in (batching, monitoring):
        assert "#" in path.read_text()


def test_compose_file(out):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    compose = yaml.safe_load(serving_files.write(out, grpc_port=9000, rest_port=9001)[3].read_text())
    (service,) = compose["services"].values()
    assert service["image"] == serving_files.IMAGE == "tensorflow/serving:2.21.0"
    assert service["ports"] == ["127.0.0.1:9000:8500", "127.0.0.1:9001:8501"]
    assert service["volumes"] == [{"type": "bind", "source": "..", "target": "/models", "read_only": True}]
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    assert flags.pop("enable_batching") == "true"
    # What a flag names is there, seen from the folder that is mounted as /models.
    names = {"model_config_file", "batching_parameters_file", "monitoring_config_file"}
    assert set(flags) == names
    assert all((out / path.removeprefix("/models/")).is_file() for path in flags.values())
    assert service["healthcheck"]["test"][:3] == ["CMD", "bash", "-c"]


def test_compose_file_without_a_yaml_reader(out):
    text = serving_files.write(out, rest_port=9001)[3].read_text()
    for line in (
        "    image: tensorflow/serving:2.21.0",
        '      - "127.0.0.1:8500:8500"',
        '      - "127.0.0.1:9001:8501"',
        "        source: ..",
        "        target: /models",
        "      - --model_config_file=/models/serving/models.config",
    ):
        assert line in text.splitlines()
    assert "\t" not in text


class ModelStatus(http.server.BaseHTTPRequestHandler):
    """Answers as TensorFlow Serving's model status does."""

    def __init__(self, states, *arguments):
        self.states = states
        super().__init__(*arguments)

    def do_GET(self):
        state = self.states.get(self.path)
        status = {"error_code": "OK" if state == "AVAILABLE" else "UNAVAILABLE", "error_message": ""}
        body = json.dumps({"model_version_status": [{"version": "1", "state": state, "status": status}]}, indent=1)
        self.send_response(200 if state else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    "states, healthy",
    [
        ({"one_step": "AVAILABLE", "umsn_lite": "AVAILABLE"}, True),
        ({"one_step": "AVAILABLE", "umsn_lite": "LOADING"}, False),
        ({"one_step": "END", "umsn_lite": "AVAILABLE"}, False),
        ({"umsn_lite": "AVAILABLE"}, False),
        (None, False),
    ],
)
def test_health_check_asks_for_every_model(out, states, healthy):
    line = next(line for line in serving_files.write(out)[3].read_text().splitlines() if " test: " in line)
    command = json.loads(line.split(" test: ")[1])
    paths = {f"/v1/models/{name}": state for name, state in (states or {}).items()}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(ModelStatus, paths)) as server:
        if states is None:
            server.server_close()
        else:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        # compose makes one $ of two.
        script = command[-1].replace("$$", "$").replace("/8501", f"/{server.server_port}")
        finished = subprocess.run([*command[1:-1], script], capture_output=True, timeout=30)
        if states is not None:
            server.shutdown()
    assert (finished.returncode == 0) == healthy


def test_files_are_replaced_whole(out, monkeypatch):
    path = serving_files.write(out)[0]
    model_folder(out, "semantic_face", "1")
    assert "semantic_face" not in path.read_text()
    serving_files.write(out)
    assert "semantic_face" in path.read_text()

    before = path.read_text()
    model_folder(out, "umsn", "1")

    def full(self, *_, **__):
        self.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="no space"):
        serving_files.write(out)
    assert path.read_text() == before
    assert len(list(path.parent.iterdir())) == 5


@pytest.mark.parametrize(
    "ports, sentence",
    [((0, 8501), "from 1 to 65535, got 0"), ((8500, 70000), "got 70000"), ((8500, 8500), "both are 8500")],
)
def test_bad_ports_write_nothing(out, ports, sentence):
    with pytest.raises(ValueError, match=sentence):
        serving_files.write(out, *ports)
    assert not (out / "serving").exists()


def test_no_model(tmp_path):
    with pytest.raises(ValueError, match="no SavedModel"):
        serving_files.write(tmp_path)
    assert list(tmp_path.iterdir()) == []
