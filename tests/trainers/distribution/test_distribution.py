"""Several replicas take the same step as one: mirrored, multi-worker and under JAX; JAX compilations and transfers."""

import functools
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import run_python
from trainers.distribution.base import Distribution, ReplicaPairMaker
from trainers.distribution.factory import make_distribution

HERE = Path(__file__).parents[1]
ROOT = HERE.parents[1]
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
FACES = "faces"
RECIPE = {
    "format_version": 1,
    "method": "one_step",
    "batch_size": 2,
    "average": 0.9,
    "steps_per_epoch": 2,
    "validate_every": 4,
    "data": {
        "crop_size": 32,
        "unblurred_share": 0.2,
        "kernels": {"linear": {"share": 1.0, "count": 9, "sizes": [9, 11]}},
    },
    "stages": [
        {
            "name": "content",
            "steps": 8,
            "optimizer": {"class_name": "Adam", "config": {"global_clipnorm": 0.01}},
            "learning_rate": {"peak": 0.01, "decay": "constant"},
            "losses": {"l2": 1.0},
        }
    ],
}


@functools.cache
def results(script, backend, *arguments):
    """The arrays that a script leaves on a backend."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.npz"
        environment = {**ENVIRONMENT, "KERAS_BACKEND": backend}
        finished = run_python(HERE / script, path, *arguments, env=environment, timeout=400)
        assert finished.returncode == 0, finished.stderr
        with np.load(path) as arrays:
            return dict(arrays)


QUICK, SLOW = ("adam", "adversarial"), ("sgd", "float16", "overflow")
# Each of these lists is a process.
RUNS = [("tensorflow", QUICK), ("jax", QUICK), ("tensorflow", (*SLOW, "synchronized")), ("jax", SLOW)]


@pytest.mark.parametrize(
    "backend,cases,case",
    [
        pytest.param(
            backend,
            cases,
            case,
            marks=[*([needs_jax] if backend == "jax" else []), *([pytest.mark.slow] if cases != QUICK else [])],
            id=f"{backend}-{case}",
        )
        for backend, cases in RUNS
        for case in cases
    ],
)
def test_two_replicas_take_the_step_of_one(backend, cases, case):
    """Losses, weights, moving average, statistics, optimisers and scales after three steps that clip."""
    found = results("distributed_steps.py", backend, *cases)
    one, two = (
        {name.split("/")[2]: value for name, value in found.items() if name.startswith(f"{case}/{devices}/")}
        for devices in ("one", "two")
    )
    assert one.keys() == two.keys() and (one.pop("devices"), two.pop("devices")) == (1, 2)
    assert one["step"] == two["step"] == 3
    for name, value in one.items():
        if name.startswith("history"):
            # float16 has 11 significant bits; in the others a sum is taken in another order.
            tolerance = {"rtol": 1e-3 if case == "float16" else 1e-5, "atol": 1e-6}
        else:
            # Ten roundings of float16 in gradients, on weights that move by up to 0.04.
            tolerance = {"rtol": 0, "atol": 2e-4 if case == "float16" else 1e-5}
        np.testing.assert_allclose(two[name], value, err_msg=name, **tolerance)
    if case == "overflow":
        assert two["moved"] == 0
        assert 2.0**37 in [float(v) for name, v in two.items() if name.startswith("optimizer") and v.ndim == 0]
    else:
        assert two["moved"] > 1e-4


def test_replicas_take_their_shares_of_each_part():
    class Numbers:
        def plan(self, number):
            return number

    both = ReplicaPairMaker(Numbers(), batch_size=4, critic_steps=2, replicas=2)
    assert [both.plan(n) for n in range(10)] == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9]
    second = ReplicaPairMaker(Numbers(), batch_size=4, critic_steps=2, replicas=2, first=1, count=1)
    assert [second.plan(n) for n in range(8)] == [2, 3, 6, 7, 10, 11, 14, 15]


def test_what_cannot_work_is_refused(monkeypatch):
    import tensorflow as tf

    tf.constant(0)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for kind, replicas, sentence in (
        ("many", None, "'many'; accepted: none, mirrored"),
        ("none", 2, "--distribution"),
        ("data_parallel", None, "KERAS_BACKEND=jax"),
        ("multi_worker", None, "TF_CONFIG"),
        ("multi_worker", 2, "multi_worker"),
        ("mirrored", 7, "7"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make_distribution(kind, replicas)
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["here:1"]}, "task": {"type": "worker", "index": 1}}')
    with pytest.raises(ValueError, match="TF_CONFIG"):
        make_distribution("multi_worker")
    two = Distribution()
    two.replicas = 2
    two.check(4)
    with pytest.raises(ValueError, match="3 faces .*2 replicas"):
        two.check(3)


@needs_jax
def test_jax_compiles_once_and_moves_nothing_within_a_step():
    found = results("compilations_on_jax.py", "jax")
    assert found["device_error"] == "" and found["device_step"] == 10
    assert found["device_traced"] == 1
    assert found["device_compiled"].tolist() == [1] + 9 * [0]
    # The guard does see transfers: batches of the host's arrays are such.
    assert "Disallowed host-to-device transfer" in str(found["host_error"])


@needs_jax
def test_the_check_of_losses_does_not_hold_up_the_steps():
    """It is made beside the steps, and still ends the training before the callbacks at the epoch's end."""
    found = results("compilations_on_jax.py", "jax")
    assert not found["stop_waited_for"]
    assert "loss is not finite in epoch 1" in str(found["stop_error"])
    assert found["stop_epochs_ended"] == 1


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a tiny preset, its recipe and a few faces of random smooth colours."""
    from deblur_zoo.models.one_step import OneStep
    from deblur_zoo.zoo import presets

    folder = tmp_path_factory.mktemp("distribution")
    model = OneStep(width=6, reduced_width=4, modules=1, kernel_sizes=(1, 3), scale=2, image_skip=True, name="tiny")
    model.build()
    presets.save_preset(model, folder / "tiny", "tiny", weights=False, without_weights="It is a test.")
    (folder / "tiny" / "recipe.json").write_text(json.dumps(RECIPE))
    (folder / FACES).mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / FACES / f"{i}.png")
    return folder


def start(workplace, out, distribution="none", extra=(), environment=None):
    """Start ``python -m trainers``."""
    faces = str(workplace / FACES)
    command = [sys.executable, "-m", "trainers", "--preset", str(workplace / "tiny"), "--faces", faces]
    command += ["--development", faces, "--development_faces", "2", "--out", str(workplace / out), "--verbose", "0"]
    command += ["--distribution", distribution, *extra]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**ENVIRONMENT, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_workers(workplace, out):
    """Start two workers on this machine."""
    ports = []
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("localhost", 0))
            ports.append(each.getsockname()[1])
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(2)]
    return [start(workplace, out, "multi_worker", environment={"TF_CONFIG": task}) for task in tasks]


def finish(*processes):
    """Wait for processes; gives what they printed."""
    outputs = []
    try:
        for process in processes:
            output, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
            outputs.append(output)
    finally:
        for process in processes:
            process.kill()
    return outputs


def weights_of(folder):
    import h5py

    found = {}
    with h5py.File(folder / "last.weights.h5") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def assert_same_weights(one, other):
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys() and first
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, atol=1e-5, err_msg=name)
    assert max(np.abs(value).max() for value in first.values()) > 1e-3


@pytest.fixture(scope="module")
def single(workplace):
    """The run of one process on one device; its folder."""
    finish(start(workplace, "single"))
    return workplace / "single"


def test_two_workers_make_the_run_of_one(workplace, single):
    """The whole command as two processes on loopback: 8 Adam steps, three measurements, four checkpoints."""
    finish(*start_workers(workplace, "workers"))
    assert_same_weights(single, workplace / "workers")
    # The chief's log alone: three measurements, each once.
    steps = [row.split("\t")[1] for row in (workplace / "workers" / "log.tsv").read_text().splitlines()]
    assert steps == ["step=0", "step=4", "step=8"]


@pytest.mark.slow
def test_a_worker_that_dies_and_a_resumed_run(workplace, single):
    """If the chief is killed, the other worker ends with one sentence, and the same commands resume the run."""
    chief, other = start_workers(workplace, "killed")
    deadline = time.time() + 200
    while not (workplace / "killed" / "checkpoint.npz").exists() and chief.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    chief.send_signal(signal.SIGKILL)
    chief.communicate()
    assert not (workplace / "killed" / "last.weights.h5").exists(), "the run ended before it could be killed"
    _, errors = other.communicate(timeout=150)
    assert other.returncode == 2
    assert "another worker of this run has ended" in errors.strip().splitlines()[-1]
    outputs = finish(*start_workers(workplace, "killed"))
    assert all("Resuming at step" in output for output in outputs)
    assert_same_weights(single, workplace / "killed")


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend,kind", [("tensorflow", "mirrored"), pytest.param("jax", "data_parallel", marks=needs_jax)]
)
def test_the_command_on_two_devices(backend, kind, workplace):
    """The whole command with the flags, against one device of the same backend."""
    environment = {"KERAS_BACKEND": backend}
    finish(
        start(workplace, f"{backend}-1", environment=environment),
        start(workplace, f"{backend}-2", kind, ["--replicas", "2"], environment),
    )
    assert_same_weights(workplace / f"{backend}-1", workplace / f"{backend}-2")
