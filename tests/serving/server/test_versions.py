"""Versions that come and go while the server runs, and the files that say which are served."""

import concurrent.futures
import importlib.util
import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from deblur_zoo.serving import protocol

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server import configuration, embedded, store  # noqa: E402
from deblur_zoo.serving.server.server import Server  # noqa: E402
from deblur_zoo.serving.server.settings import Settings  # noqa: E402

ONE = protocol.filled_tensor(0.25, (1, 2, 2, 3))


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Folders of ``tiny`` by version, 1 to 3: answers are version - x."""
    specification = importlib.util.spec_from_file_location("tiny_models", Path(__file__).parents[1] / "conftest.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("versions")
    for number in (1, 2, 3):
        module.write_tiny(folder, number)
    return {number: folder / str(number) for number in (1, 2, 3)}


@pytest.fixture
def models(tmp_path, versions):
    """A folder of models with ``tiny``, version 1."""
    shutil.copytree(versions[1], tmp_path / "models" / "tiny" / "1")
    return tmp_path / "models"


def put(folder, target):
    """Let a version appear in one go."""
    shutil.copytree(folder, target.parent / "copying")
    (target.parent / "copying").rename(target)


@pytest.fixture
def states(ask):
    """Function (server, model) -> dict of version to (state, error code)."""

    def read(server, model="tiny"):
        _, answer = ask(f"{server.rest}/v1/models/{model}")
        return {
            int(one["version"]): (one["state"], one["status"]["error_code"])
            for one in answer.get("model_version_status", ())
        }

    return read


@pytest.fixture
def answer(grpc_call, predict_request):
    """Function (server, model, version or label) -> (version that answered, its number: what it adds to -x)."""

    def predict(server, model="tiny", version=None):
        request = predict_request(model=model, images=ONE)
        if isinstance(version, int):
            request.model_spec.version.value = version
        elif version:
            request.model_spec.version_label = version
        response = grpc_call(server.grpc, "Predict", request)
        values = protocol.to_array(response.outputs["restored"])
        assert np.ptp(values) == 0
        return response.model_spec.version.value, float(values.flat[0]) + 0.25

    return predict


def test_a_swap_under_load_loses_nothing(models, versions, ask, states, predict_request, grpc_call, until):
    """REST and gRPC clients that never pause while version 2 takes over from 1 and 3 from 2."""
    body = json.dumps({"instances": np.full((1, 2, 2, 3), 0.25).tolist()}).encode()
    done = threading.Event()

    def rest_client(server):
        seen = []
        while not done.is_set():
            status, found = ask(f"{server.rest}/v1/models/tiny:predict", body)
            assert status == 200, found
            seen.append(found["predictions"][0][0][0][0] + 0.25)
        return seen

    def grpc_client(server):
        seen = []
        while not done.is_set():
            response = grpc_call(server.grpc, "Predict", predict_request(images=ONE))
            seen.append(float(protocol.to_array(response.outputs["restored"]).flat[0]) + 0.25)
            assert seen[-1] == response.model_spec.version.value
        return seen

    with embedded.running(Settings(models=str(models), poll_s=0.05)) as server:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(client, server) for client in (rest_client, grpc_client) * 4]
            try:
                for number in (2, 3):
                    put(versions[number], models / "tiny" / str(number))
                    ended = {old: ("END", "OK") for old in range(1, number)}
                    until(lambda: states(server) == {**ended, number: ("AVAILABLE", "OK")})  # noqa: B023
                time.sleep(0.1)
            finally:
                done.set()
            histories = [client.result() for client in clients]
    for seen in histories:
        # Never back to an older one.
        assert seen == sorted(seen) and set(seen) <= {1, 2, 3} and seen[0] == 1 and seen[-1] == 3


def test_the_old_version_answers_what_it_began(models, versions, states, grpc_call, predict_request, until):
    """It is UNLOADING, not gone, while its last request runs."""
    with embedded.running(Settings(models=str(models), poll_s=0.05)) as server:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            request = predict_request("slow", seconds=np.array([2], np.float32))
            slow = pool.submit(grpc_call, server.grpc, "Predict", request)
            put(versions[2], models / "tiny" / "2")
            until(lambda: states(server).get(2) == ("AVAILABLE", "OK"))
            assert states(server)[1] == ("UNLOADING", "OK") and not slow.done()
            assert slow.result().model_spec.version.value == 1
            until(lambda: states(server)[1] == ("END", "OK"))


def test_a_broken_version_leaves_the_old_one(models, versions, ask, states, answer, until):
    """Without its variables; then whole. And one whose saved_model.pb is cut short."""
    with embedded.running(Settings(models=str(models), poll_s=0.05)) as server:
        shutil.copytree(versions[2], models / "tiny" / "2", ignore=shutil.ignore_patterns("variables.*"))
        until(lambda: states(server).get(2, ("",))[0] == "END")
        found = states(server)
        assert found[1] == ("AVAILABLE", "OK") and found[2][1] != "OK"
        _, status = ask(f"{server.rest}/v1/models/tiny/versions/2")
        assert "variables" in status["model_version_status"][0]["status"]["error_message"]
        assert answer(server) == (1, 1) and ask(f"{server.rest}/readyz")[0] == 200
        shutil.copytree(versions[2], models / "tiny" / "2", dirs_exist_ok=True)
        until(lambda: states(server) == {1: ("END", "OK"), 2: ("AVAILABLE", "OK")})
        assert answer(server) == (2, 2)
        put(versions[3], models / "tiny" / "30")
        content = (versions[3] / "saved_model.pb").read_bytes()
        (models / "tiny" / "31").mkdir()
        (models / "tiny" / "31" / "saved_model.pb").write_bytes(content[: len(content) // 2])
        until(lambda: states(server).get(31, ("",))[0] == "END")
        assert answer(server)[0] in (2, 30)


def test_a_folder_that_still_grows_is_left_alone(models, versions, states, until):
    """Copied for longer than a poll, saved_model.pb last: loaded once all is there, and never in error before."""
    files = sorted((path for path in versions[2].rglob("*") if path.is_file()), key=lambda path: path.suffix == ".pb")
    with embedded.running(Settings(models=str(models), poll_s=0.8)) as server:
        seen = set()
        for file in [*[versions[2] / "fingerprint.pb"] * 5, *files]:
            target = models / "tiny" / "2" / file.relative_to(versions[2])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            time.sleep(0.15)
            seen.add(states(server).get(2, ("",))[0])
        until(lambda: seen.add(states(server).get(2, ("",))[0]) or states(server)[2] == ("AVAILABLE", "OK"))
    assert "END" not in seen


def test_damaged_warm_up_records_are_an_error(models, versions, states):
    shutil.copytree(versions[2], models / "tiny" / "2")
    records = models / "tiny" / "2" / "assets.extra" / "tf_serving_warmup_requests"
    content = bytearray(records.read_bytes())
    content[-5] ^= 1
    records.write_bytes(content)
    shutil.copytree(models / "tiny" / "1", models / "other" / "1")
    with embedded.running(Settings(models=str(models))) as server:
        assert states(server)[2] == ("END", "DATA_LOSS")
        assert states(server, "other") == {1: ("AVAILABLE", "OK")}


def test_a_removed_version_goes(models, versions, ask, states, until):
    with embedded.running(Settings(models=str(models), poll_s=0.05)) as server:
        shutil.rmtree(models / "tiny" / "1")
        until(lambda: states(server) == {1: ("END", "OK")})
        assert ask(f"{server.rest}/readyz")[0] == 503 and ask(f"{server.rest}/healthz")[0] == 200
        put(versions[1], models / "tiny" / "1")
        until(lambda: states(server) == {1: ("AVAILABLE", "OK")})


CONFIG = """
model_config_list {{
  config {{
    name: "all" base_path: "{folder}" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "canary" value: 3 }}
  }}
  config {{ name: "two" base_path: "{folder}" model_version_policy {{ latest {{ num_versions: 2 }} }} }}
  config {{ name: "some" base_path: "{folder}" model_version_policy {{ specific {{ versions: 1 versions: 3 }} }} }}
}}
"""


def test_configuration_file_and_reloading(tmp_path, versions, ask, states, answer, grpc_call):
    file = tmp_path / "models.config"
    file.write_text(CONFIG.format(folder=versions[1].parent))
    with embedded.running(Settings(model_config_file=str(file))) as server:
        assert set(states(server, "all")) == {1, 2, 3}
        assert set(states(server, "two")) == {2, 3}
        assert set(states(server, "some")) == {1, 3}
        assert answer(server, "all") == (3, 3)
        assert answer(server, "all", 2) == (2, 2)
        assert answer(server, "all", "stable") == (1, 1)
        assert answer(server, "all", "canary") == (3, 3)
        body = {"inputs": [[[[0, 0, 0]]]]}
        assert ask(f"{server.rest}/v1/models/all/labels/stable:predict", body) == (200, {"outputs": [[[[1, 1, 1]]]]})
        _, metadata = ask(f"{server.rest}/v1/models/all/labels/canary/metadata")
        assert metadata["model_spec"]["version"] == "3"
        # The label moves, "two" is gone, and "some" keeps its highest version.
        config = protocol.ModelServerConfig()
        for name, label in (("all", 2), ("some", None)):
            model = config.model_config_list.config.add(name=name, base_path=str(versions[1].parent))
            if label:
                model.model_version_policy.all.SetInParent()
                model.version_labels["stable"] = label
        reloaded = grpc_call(server.grpc, "HandleReloadConfigRequest", protocol.ReloadConfigRequest(config=config))
        assert reloaded.status.error_code == 0
        assert answer(server, "all", "stable") == (2, 2)
        assert ask(f"{server.rest}/v1/models/two")[0] == 404
        assert states(server, "some") == {1: ("END", "OK"), 3: ("AVAILABLE", "OK")}


@pytest.mark.parametrize(
    "config, code, sentence",
    [
        ({}, "INVALID_ARGUMENT", "Only ModelConfigList is currently supported"),
        ({"name": "", "base_path": "/x"}, "INVALID_ARGUMENT", "has no name"),
        ({"name": "x"}, "INVALID_ARGUMENT", "has no base_path"),
        ({"name": "x", "base_path": "/x", "model_platform": "caffe"}, "INVALID_ARGUMENT", "unsupported platform caffe"),
        (({"name": "x", "base_path": "/x"},) * 2, "INVALID_ARGUMENT", "Illegal to list model x multiple times"),
    ],
)
def test_reloading_what_cannot_be_served(server, grpc_call, answer, config, code, sentence):
    """It is refused, and the models stay as they are."""
    import grpc

    request = protocol.ReloadConfigRequest()
    for one in config if isinstance(config, tuple) else [config] * bool(config):
        request.config.model_config_list.config.add(**one)
    with pytest.raises(grpc.RpcError) as caught:
        grpc_call(server.grpc, "HandleReloadConfigRequest", request)
    assert caught.value.code().name == code and sentence in caught.value.details()
    assert answer(server) == (1, 1)


def test_reloading_a_model_that_is_not_there(models, tmp_path, grpc_call):
    import grpc

    request = protocol.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="x", base_path=str(tmp_path / "nothing"))
    with embedded.running(Settings(models=str(models))) as server:
        with pytest.raises(grpc.RpcError, match="1 servable.*x") as caught:
            grpc_call(server.grpc, "HandleReloadConfigRequest", request)
        assert caught.value.code().name == "UNKNOWN"


def test_a_client_that_leaves_while_models_are_reloaded(models, versions, states, grpc_call, monkeypatch, until):
    import grpc

    load = store._load
    monkeypatch.setattr(store, "_load", lambda folder: time.sleep(0.5) or load(folder))
    request = protocol.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="other", base_path=str(versions[1].parent))
    with embedded.running(Settings(models=str(models))) as server:
        with pytest.raises(grpc.RpcError) as caught:
            grpc_call(server.grpc, "HandleReloadConfigRequest", request, timeout=0.2)
        assert caught.value.code().name == "DEADLINE_EXCEEDED"
        until(lambda: states(server, "other") == {3: ("AVAILABLE", "OK")})


def test_the_watch_goes_on_after_a_fault(models, versions, answer, monkeypatch, until):
    """A file system that is away for two looks."""
    faults = [PermissionError("away"), OSError("away")]
    find = configuration.find_versions

    def sometimes(path):
        if faults:
            raise faults.pop()
        return find(path)

    with embedded.running(Settings(models=str(models), poll_s=0.05)) as server:
        monkeypatch.setattr(configuration, "find_versions", sometimes)
        until(lambda: not faults)
        put(versions[2], models / "tiny" / "2")
        until(lambda: answer(server) == (2, 2))


def test_no_model_that_can_be_loaded(models):
    (models / "tiny" / "1" / "saved_model.pb").write_bytes(b"\xff" * 50)
    with pytest.raises(ValueError, match="no model could be loaded: version 1 of tiny: "):
        with embedded.running(Settings(models=str(models))):
            pass


def test_folders_without_models(tmp_path, models):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        Server(Settings(models=str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no model: NAME/VERSION/saved_model.pb is looked for.$"):
        Server(Settings(models=str(tmp_path / "empty")))
    with pytest.raises(ValueError, match="It looks like a model itself: give the folder above it"):
        Server(Settings(models=str(models / "tiny")))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("model_config_list {", "is no tensorflow.serving.ModelServerConfig in text form"),
        ("model_config_list { config { nam: 'x' } }", 'no field named "nam"'),
        ("", "Only ModelConfigList"),
        ("model_config_list {}", "names no model"),
    ],
)
def test_wrong_configuration_files(tmp_path, text, sentence):
    (tmp_path / "models.config").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        configuration.from_file(tmp_path / "models.config")


def test_batching_parameters(tmp_path):
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 4 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 9 }")
    options, max_batches = configuration.batching_from_file(file, True)
    found = (options.enabled, options.max_batch_size, options.timeout_s, options.threads, max_batches)
    assert found == (True, 4, 0, 1, 9)
    for text, sentence in (
        ("max_batch_size { value: 0 }", "max_batch_size cannot be 0"),
        ("allowed_batch_sizes: 4", "not offered"),
        ("x: 1", "is no tensorflow.serving.BatchingParameters"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=sentence):
            configuration.batching_from_file(file, True)


def test_the_serving_files_of_the_exports_are_read(tmp_path, models):
    """What ``python -m exporters`` writes for TensorFlow Serving."""
    serving_files = pytest.importorskip("exporters.serving_files")
    serving_files.write(models)
    options, max_batches = configuration.batching_from_file(models / "serving" / "batching.config", True)
    assert (options.max_batch_size, options.timeout_s, max_batches) == (16, 0.001, 32)
    (model,) = configuration.from_file(models / "serving" / "models.config")
    assert (model.name, str(model.base_path)) == ("tiny", "/models/tiny")
