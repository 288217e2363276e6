"""Training runs on a tiny preset: what a step does, resuming after SIGKILL, and what a person is told."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from deblur_zoo import presets, zoo
from deblur_zoo.models.one_step import OneStep
from trainers.callbacks import NonFiniteLoss
from trainers.method import weighted_sum
from trainers.one_step import OneStepMethod
from trainers.preparation import build_models
from trainers.run import Run
from trainers.schedule import Schedule
from trainers.tensorflow.step import TensorFlowTrainer

ROOT = Path(__file__).resolve().parents[2]
STAGE = {"optimizer": "sgd", "learning_rate": {"peak": 0.05, "decay": "constant"}}
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
        {"name": "content", "steps": 6, **STAGE, "losses": {"l2": 1.0}},
        {"name": "smooth", "steps": 4, **STAGE, "optimizer": "rmsprop", "losses": {"l2": 1.0, "total_variation": 0.1}},
    ],
}
FLAGS = {
    "recipe": None, "seed": None, "batch_size": None, "precision": None, "steps": [], "identity_network": None,
    "networks": [], "labels": [], "init_parts": [], "init_from": None, "development_faces": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a tiny preset, its recipe and a few faces of random smooth colours."""
    folder = tmp_path_factory.mktemp("training")
    model = OneStep(width=6, reduced_width=4, modules=1, kernel_sizes=(1, 3), scale=2, image_skip=True, name="tiny")
    model.build()
    presets.save_preset(model, folder / "tiny", "tiny", weights=False, without_weights="It is a test.")
    (folder / "tiny" / "recipe.json").write_text(json.dumps(RECIPE))
    (folder / "faces").mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / "faces" / f"{i}.png")
    return folder


def flags(workplace, out, **changes):
    faces = str(workplace / "faces")
    own = {"preset": str(workplace / "tiny"), "faces": [faces], "development": faces, "out": str(out)}
    return {**FLAGS, **own, **changes}


def weights_of(folder):
    model = OneStep(width=6, reduced_width=4, modules=1, kernel_sizes=(1, 3), scale=2, image_skip=True)
    model.build()
    model.load_weights(folder / "last.weights.h5")
    return [ops.convert_to_numpy(weight) for weight in model.weights]


@pytest.fixture(scope="module")
def finished(workplace):
    """An uninterrupted run."""
    run = Run.prepare(flags(workplace, workplace / "whole"))
    run.train(verbose=0)
    return run


def trainer_for(losses, optimizer, decay=0.9, peak=0.5):
    keras.utils.set_random_seed(3)
    arguments = {"width": 6, "reduced_width": 4, "modules": 1, "kernel_sizes": (1, 3)}
    trainer = TensorFlowTrainer(OneStep(**arguments), OneStep(**arguments), decay)
    trainer.start_stage(OneStepMethod(losses), optimizer, Schedule(peak=peak, steps=10, decay="constant"))
    return trainer


def test_one_sgd_step_by_hand():
    """The bias of the last convolution: its gradient and its moving average are worked out on paper."""
    trainer = trainer_for({"l2": 1.0}, keras.optimizers.SGD())
    rng = np.random.default_rng(0)
    blurred, sharp = rng.integers(0, 256, (2, 2, 8, 8, 3), dtype=np.uint8)
    estimate = ops.convert_to_numpy(trainer.model(blurred / np.float32(255), training=True))
    bias = trainer.model.last.weights[1]
    before = ops.convert_to_numpy(bias).copy()
    trainer.train_step((blurred, sharp))
    # d/db_c of the mean over N*H*W*3 values of (estimate - truth)^2, with rate 0.5.
    gradient = 2 * (estimate - sharp / 255).sum(axis=(0, 1, 2)) / estimate.size
    after = before - 0.5 * gradient
    np.testing.assert_allclose(ops.convert_to_numpy(bias), after, rtol=1e-5)
    # First step: decay min(0.9, 1 / 10), so nine tenths of the way.
    averaged = ops.convert_to_numpy(trainer.average.last.weights[1])
    np.testing.assert_allclose(averaged, 0.1 * before + 0.9 * after, rtol=1e-5)


def test_stages_lower_the_loss_and_leave_a_full_record(finished, workplace):
    folder = workplace / "whole"
    record = json.loads((folder / "run.json").read_text())
    assert record["faces"]["count"] == 6 and record["recipe"]["stages"][1]["name"] == "smooth"
    assert int(finished.trainer.step) == 10
    lines = (folder / "log.tsv").read_text().splitlines()
    rows = [dict(field.split("=") for field in line.split("\t")) for line in lines]
    assert [(row["stage"], row["step"]) for row in rows] == [("content", "4"), ("content", "6"), ("smooth", "10")]
    assert (folder / "best.weights.h5").exists()
    assert not list(folder.glob(".partial*"))


def test_killed_and_resumed_equals_uninterrupted(finished, workplace):
    """SIGKILL as soon as the first checkpoint is there, then the same command again."""
    out = workplace / "killed"
    faces = str(workplace / "faces")
    command = [sys.executable, "-m", "trainers", "--preset", str(workplace / "tiny"), "--faces", faces]
    command += ["--development", faces, "--development_faces", "3", "--out", str(out), "--verbose", "0"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 200
    while not (out / "checkpoint.npz").exists() and process.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / "checkpoint.npz").exists()
    assert not (out / "last.weights.h5").exists(), "the run ended before it could be killed"
    resumed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert resumed.returncode == 0, resumed.stderr
    assert "Going on at step" in resumed.stdout
    for one, other in zip(weights_of(workplace / "whole"), weights_of(out), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_the_same_run_under_jax(workplace):
    """The whole command on both backends, from the same weights: data, schedule, average and checkpoints agree."""
    start = OneStep(width=6, reduced_width=4, modules=1, kernel_sizes=(1, 3), scale=2, image_skip=True)
    start.build()
    start.save_weights(workplace / "start.weights.h5")
    recipe = json.loads(json.dumps(RECIPE))
    recipe["stages"] = [{**recipe["stages"][0], "learning_rate": {"peak": 1.0, "decay": "constant"}}]
    (workplace / "quick.json").write_text(json.dumps(recipe))
    faces = str(workplace / "faces")
    for backend in ("tensorflow", "jax"):
        command = [sys.executable, "-m", "trainers", "--preset", str(workplace / "tiny"), "--faces", faces]
        command += ["--recipe", str(workplace / "quick.json"), "--verbose", "0"]
        command += ["--init_from", str(workplace / "start.weights.h5")]
        command += ["--development", faces, "--development_faces", "2", "--out", str(workplace / backend)]
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
    for one, other in zip(weights_of(workplace / "tensorflow"), weights_of(workplace / "jax"), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # The last kernel starts at zero and is the first to move.
    assert np.abs(weights_of(workplace / "jax")[-2]).max() > 1e-3


def test_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(workplace):
    recipe = json.loads(json.dumps(RECIPE))
    recipe["stages"][1]["learning_rate"]["peak"] = 1e30
    recipe["stages"][1]["optimizer"] = "sgd"
    path = workplace / "explosive.json"
    path.write_text(json.dumps(recipe))
    run = Run.prepare(flags(workplace, workplace / "explosive", recipe=str(path)))
    with pytest.raises(NonFiniteLoss, match="not finite in epoch"):
        run.train(verbose=0)
    with np.load(workplace / "explosive" / "checkpoint.npz") as arrays:
        assert all(np.all(np.isfinite(arrays[name])) for name in arrays.files)


def test_facial_term_without_a_network_is_stated(workplace, capsys):
    recipe = json.loads(json.dumps(RECIPE))
    recipe["stages"][1]["losses"]["facial"] = 0.1
    path = workplace / "facial.json"
    path.write_text(json.dumps(recipe))
    run = Run.prepare(flags(workplace, workplace / "facial", recipe=str(path)))
    assert "The facial term is off" in capsys.readouterr().err
    assert run.record["networks"] == []
    assert "facial" not in run.recipe["stages"][1]["losses"]


def test_facial_term_on_a_share_of_the_batch():
    def network(images):
        return ops.mean(images, axis=(1, 2))

    truth = np.zeros((4, 2, 2, 3), "float32")
    estimate = np.zeros((4, 2, 2, 3), "float32")
    estimate[:2] = [3, 0, 4]
    estimate[2:] = 100
    method = OneStepMethod({"l2": 1.0, "facial": 0.5}, networks={"identity": network}, facial_share=0.5)
    terms = method.terms({"sharp": truth}, {"restored": estimate}, None)
    # The first two images' features are 5 away; the others are not looked at.
    assert float(terms["facial"]) == pytest.approx(5.0, abs=1e-5)
    assert float(weighted_sum(method.weights, {"l2": 2.0, "facial": 5.0})) == pytest.approx(4.5)


def test_mixed_precision_trains_float32_variables(workplace):
    model, average = build_models(str(workplace / "tiny"), "mixed_bfloat16")
    assert model.inception[0].compute_dtype == "bfloat16"
    assert average.inception[0].compute_dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}


@pytest.mark.parametrize(
    "arguments,sentence",
    [
        ([], "--preset is missing"),
        (["--preset", "one_step_lite", "--out", "x"], "--faces is missing"),
        (["--preset", "one_step_lite", "--out", "x", "--faces", "/nowhere"], "/nowhere"),
        (["--preset", "one_stap", "--out", "x", "--faces", "."], "one_step"),
        (["--precision", "float8"], "float8"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_command_line_says_what_is_wrong(arguments, sentence, tmp_path):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "trainers", *arguments]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert sentence in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_publishing_writes_a_preset_that_loads_and_is_measured(finished, workplace):
    faces = workplace / "crops"
    faces.mkdir()
    rng = np.random.default_rng(1)
    for i in range(2):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        coarse.resize((128, 128), Image.Resampling.BICUBIC).save(faces / f"{i}.png")
    command = [sys.executable, "-m", "trainers.publish", "--run", str(workplace / "whole")]
    command += ["--preset", str(workplace / "tiny"), "--development", str(faces), "--data", "random colours"]
    command += ["--license", "none", "--device", "a test", "--earlier_steps", "7", "--note", "It was short."]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert not list(workplace.glob(".publish-*"))
    loaded = zoo.load(workplace / "tiny")
    best = OneStep.from_config(loaded.get_config())
    best.build()
    best.load_weights(workplace / "whole" / "best.weights.h5")
    for shipped, trained in zip(loaded.get_weights(), best.get_weights(), strict=True):
        # float16 keeps 11 significant bits: half a unit in the last place is 2**-11 of the value.
        np.testing.assert_allclose(shipped, trained, rtol=2**-11, atol=1e-7)
    row = json.loads((workplace / "index.json").read_text())["presets"]["tiny"]
    config = json.loads((workplace / "tiny" / "config.json").read_text())
    training = json.loads((workplace / "tiny" / "training.json").read_text())
    metrics = json.loads((workplace / "tiny" / "metrics.json").read_text())
    progress = json.loads((workplace / "whole" / "progress.json").read_text())
    assert row["weights_sha256"] == config["weights"]["sha256"] == metrics["model"]["weights_sha256"]
    assert training["steps"] == progress["best_step"] + 7 and training["faces_seen"] == 2 * training["steps"]
    assert str(workplace) not in json.dumps(training)
    assert row["measured"]["psnr_gain_db"] == round(metrics["overall"]["psnr_gain"]["mean"], 2)
    card = (workplace / "tiny" / "README.md").read_text()
    assert row["weights_sha256"] in card and "random colours" in card and "It was short." in card and "| 13 |" in card


def test_a_folder_with_a_run_of_another_recipe_is_refused(finished, workplace):
    checkpoint = (workplace / "whole" / "checkpoint.npz").read_bytes()
    faces = str(workplace / "faces")
    command = [sys.executable, "-m", "trainers", "--preset", str(workplace / "tiny"), "--faces", faces]
    command += ["--out", str(workplace / "whole"), "--steps", "smooth=0", "--verbose", "0"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 2
    assert "holds a run at stage 'smooth'" in result.stderr.strip().splitlines()[-1]
    assert (workplace / "whole" / "checkpoint.npz").read_bytes() == checkpoint


def test_publishing_an_unfinished_run_changes_nothing(workplace, tmp_path):
    before = sorted(path.name for path in (workplace / "tiny").iterdir())
    command = [sys.executable, "-m", "trainers.publish", "--run", str(tmp_path), "--preset", str(workplace / "tiny")]
    command += ["--development", str(tmp_path), "--data", "x", "--license", "x", "--device", "x"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 2
    assert "finished run" in result.stderr.strip().splitlines()[-1]
    assert sorted(path.name for path in (workplace / "tiny").iterdir()) == before
