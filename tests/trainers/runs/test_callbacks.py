"""Callbacks by hand: progress and time left, the stop, validation's bookkeeping, event files, the log."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from trainers.runs import event_log
from trainers.runs.callbacks import Events, Progress, StopOnNonFinite, Validation
from trainers.runs.errors import CannotWrite, NonFiniteLoss
from trainers.runs.event_log import EventLog
from trainers.runs.run_log import append_row, forget_after, read_rows


def test_progress_by_hand(capsys):
    times = iter([0, 100, 110, 130, 140, 150])
    progress = Progress(batch_size=4, stage_steps=40, epoch_steps=10, later_steps=20, clock=lambda: next(times))
    for epoch in range(3):
        progress.on_epoch_begin(epoch)
        progress.on_epoch_end(epoch, {"loss": 0.0123456})
    lines = capsys.readouterr().out.splitlines()
    # The first epoch takes 100 s for 10 steps: 30 more of the stage, 20 of later ones.
    assert lines[0] == "step 10 of 40  loss 0.01235  0.4 faces/s  left: 0:05:00 of the stage, 0:08:20 in all"
    # Then it is left out of the count: 30 s from end to end, of which 20 s are steps.
    assert lines[1] == "step 20 of 40  loss 0.01235  2.0 faces/s  left: 0:01:00 of the stage, 0:02:00 in all"
    # 30 s and 20 s: 25 s an epoch.
    assert lines[2] == "step 30 of 40  loss 0.01235  4.0 faces/s  left: 0:00:25 of the stage, 0:01:15 in all"


@pytest.mark.parametrize("name", ["loss", "critic_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_either_players_loss_stops_the_run(name, value):
    callback = StopOnNonFinite(every=5)
    callback.on_epoch_begin(2)
    logs = {"loss": 1.0, "critic_loss": -1.0}
    callback.on_train_batch_end(4, logs)
    callback.on_train_batch_end(3, {**logs, name: value})
    with pytest.raises(NonFiniteLoss, match=f"{name} .*epoch 3, by step 5"):
        callback.on_train_batch_end(4, {**logs, name: value})
    with pytest.raises(NonFiniteLoss, match="by its end"):
        callback.on_epoch_end(2, {**logs, name: value})


class FakeTrainer:
    """What Validation asks of a trainer."""

    def __init__(self):
        self.step = keras.Variable(0, dtype="int32")
        self.average = SimpleNamespace(save_weights=lambda file: file.write(str(int(self.step.numpy())).encode()))
        self.optimizer = SimpleNamespace(inner={"generator": SimpleNamespace(learning_rate=3e-6)})
        self.halved = []

    def halve_rates(self):
        self.halved.append(int(self.step.numpy()))


def validate(tmp_path, scores, epochs=None, **settings):
    """Run Validation over epochs of ten steps whose scores are given."""
    scores = iter(scores)
    development = SimpleNamespace(
        score="quality",
        measure=lambda model: {"quality": next(scores)},
        strip=lambda model: np.full((4, 4, 3), int(trainer.step.numpy()), np.uint8),
    )
    progress, trainer = {"stage": "only"}, FakeTrainer()
    callback = Validation(development, epochs=epochs, folder=tmp_path, progress=progress, shown=False, **settings)
    callback.set_model(trainer)
    for epoch in range(epochs):
        trainer.step.assign(10 * (epoch + 1))
        callback.on_epoch_end(epoch, {"loss": 1.5e-7})
    return progress, trainer


def test_best_weights_and_the_plateau(tmp_path):
    from deblur_zoo.files import pictures

    progress, trainer = validate(tmp_path, [3, 5, 4, 5, 4.5, 6, 2], epochs=7, every=1, halve_after=2)
    # No better one at 30 and 40: halved at 40. At 50 one, then a better one at 60, then one.
    assert trainer.halved == [40]
    assert progress["best"] == 6 and progress["best_step"] == 60 and progress["waited"] == 1
    assert (tmp_path / "best.weights.h5").read_text() == "60"
    assert pictures.read(tmp_path / "best_strip.png")[0, 0, 0] == 60
    assert pictures.read(tmp_path / "strip.png")[0, 0, 0] == 70
    rows = read_rows(tmp_path / "log.tsv")
    assert [row["step"] for row in rows] == ["10", "20", "30", "40", "50", "60", "70"]
    # Small numbers keep their digits.
    assert rows[0]["loss"] == "1.5e-07" and rows[0]["learning_rate_generator"] == "3e-06"


def test_measured_before_the_first_step_of_a_run_and_only_there(tmp_path):
    trainer, progress = FakeTrainer(), {"stage": "only"}
    development = SimpleNamespace(
        score="quality", measure=lambda model: {"quality": 3.0}, strip=lambda model: np.zeros((4, 4, 3), np.uint8)
    )
    callback = Validation(development, every=1, epochs=2, folder=tmp_path, progress=progress, shown=False)
    callback.set_model(trainer)
    callback.on_train_begin()
    callback.on_train_begin()
    (row,) = read_rows(tmp_path / "log.tsv")
    assert row["step"] == "0" and row["quality"] == "3.00000" and "loss" not in row
    # Whatever is no better than the weights that training began with is not the best.
    assert progress["before"] == progress["best"] == 3 and progress["best_step"] == 0
    callback.on_epoch_end(0, {"loss": 1.0})
    assert progress["best_step"] == 0 and (tmp_path / "best.weights.h5").read_text() == "0"
    # A run that an earlier version began has no measurement before its first step, and gets none now.
    resumed = {"stage": "only", "best": 2.0, "best_step": 10}
    callback = Validation(development, every=1, epochs=2, folder=tmp_path, progress=resumed, shown=False)
    trainer.step.assign(10)
    callback.set_model(trainer)
    callback.on_train_begin()
    assert resumed == {"stage": "only", "best": 2.0, "best_step": 10}


def test_measured_every_so_often_and_at_the_end(tmp_path):
    validate(tmp_path, [1, 2], epochs=5, every=3)
    assert [row["step"] for row in read_rows(tmp_path / "log.tsv")] == ["30", "50"]


def test_a_score_that_is_not_finite_is_never_the_best(tmp_path):
    with pytest.raises(NonFiniteLoss, match="quality .*not finite"):
        validate(tmp_path, [math.nan], epochs=1, every=1)
    assert not list(tmp_path.iterdir())


def test_log_forgets_what_is_done_again(tmp_path):
    path = tmp_path / "log.tsv"
    forget_after(path, 0)
    assert not path.exists() and read_rows(path) == []
    for step in (10, 20, 30):
        append_row(path, {"stage": "a", "step": step, "note": "x=y"})
    with open(path, "a") as log:
        log.write("stage=a\tst")
    forget_after(path, 20)
    assert path.read_text() == "stage=a\tstep=10\tnote=x=y\nstage=a\tstep=20\tnote=x=y\n"
    with pytest.raises(CannotWrite, match="cannot be written"):
        append_row(tmp_path / "nowhere" / "log.tsv", {})


def events_of(folder):
    """(step, tag, number or PNG) of every value in the event files of a folder, by TensorFlow's reader."""
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    found = []
    for path in sorted(folder.glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                image = value.WhichOneof("value") == "image"
                content = value.image.encoded_image_string if image else value.simple_value
                found.append((event.step, value.tag, content))
    return found


def test_event_files(tmp_path):
    from deblur_zoo.files import pictures

    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    log = EventLog(tmp_path / "events")
    assert not (tmp_path / "events").exists()
    log.scalars(7, {"train/loss": 0.5, "learning_rate/critic": 2e-5})
    log.image(8, "validation/strip", picture)
    log.close()
    found = events_of(tmp_path / "events")
    assert [(step, tag) for step, tag, _ in found] == [
        (7, "train/loss"), (7, "learning_rate/critic"), (8, "validation/strip")
    ]  # fmt: skip
    assert [found[0][2], found[1][2]] == pytest.approx([0.5, 2e-5])
    np.testing.assert_array_equal(pictures.decode(found[2][2]), picture)


def test_event_files_without_any_writer(tmp_path, monkeypatch):
    monkeypatch.setattr(event_log.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="tensorboard.*pip install"):
        event_log.open_event_log(tmp_path)


def test_events_of_both_players():
    seen = []
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=8.0)
    scaled.build([keras.Variable([0.0])])
    trainer = SimpleNamespace(
        step=keras.Variable(12, dtype="int32"),
        optimizer=SimpleNamespace(
            inner={"generator": keras.optimizers.SGD(0.25), "critic": keras.optimizers.SGD(0.5)},
            players={"generator": scaled, "critic": keras.optimizers.SGD(0.5)},
        ),
    )
    callback = Events(SimpleNamespace(scalars=lambda step, values: seen.append((step, values))))
    callback.set_model(trainer)
    callback.on_epoch_end(0, {"loss": 1.0, "critic_loss": 2.0})
    assert seen == [
        (12, {"train/loss": 1.0, "train/critic_loss": 2.0, "learning_rate/generator": 0.25,
              "learning_rate/critic": 0.5, "loss_scale/generator": 8.0})
    ]  # fmt: skip
