import gzip
import os
import re
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are written by the TensorFlow backend", allow_module_level=True)

import tensorflow as tf  # noqa: E402

from deblur_zoo import zoo  # noqa: E402
from deblur_zoo.exported import saved_model_folder  # noqa: E402
from deblur_zoo.files.archives import unpack  # noqa: E402
from exporters import hub_card, run_tf_hub, tf_hub  # noqa: E402
from exporters.information import information  # noqa: E402
from exporters.verify import VerificationError  # noqa: E402

INFORMATION = information(
    "tiny",
    {
        "license": {"code": "Apache-2.0", "weights": "non-commercial"},
        "paper": {"title": "A paper", "authors": "A. Author", "year": 2017, "arxiv": "1711.09515"},
    },
)


@pytest.fixture(scope="module")
def with_hub():
    """Skips where the packages of the extra "hub" are not installed."""
    try:
        tf_hub.check_backend()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def exported(with_hub, tiny_model, tmp_path_factory):
    path = tf_hub.FORMAT.target("tiny", tmp_path_factory.mktemp("exported"), 3)
    return path, tf_hub.export(tiny_model, path, information=INFORMATION)


@pytest.fixture(scope="module")
def written(tiny_model, tmp_path_factory):
    """The reusable SavedModel, unchecked."""
    folder = tmp_path_factory.mktemp("written") / "model"
    tf_hub.write(tiny_model, folder)
    return folder


def test_export_checks_every_way_of_loading(exported):
    path, compared = exported
    assert path.parts[-3:] == ("tiny", "tf_hub", "3")
    assert sorted(entry.name for entry in path.iterdir()) == ["card.md", "model", "tiny.tar.gz"]
    assert [entry.name for entry in path.parent.iterdir()] == ["3"]
    ways = [result.case.signature for result in compared]
    assert sorted(set(ways)) == sorted((*tf_hub.WAYS, *tf_hub.TRAINING_WAYS)) and len(ways) == 7 * 5
    assert all(result.passed for result in compared)
    # The network changes the pictures, and training leaves them unclipped, or equality would say little.
    assert all(np.abs(result.case.expected - result.case.request).max() > 0.05 for result in compared)
    ranges = {way: [0.0, 0.0] for way in ways}
    for result in compared:
        low, high = ranges[result.case.signature]
        ranges[result.case.signature] = [min(low, result.case.expected.min()), max(high, result.case.expected.max())]
    for way, (low, high) in ranges.items():
        assert (low < 0 or high > 1) == ("training" in way), way


def test_archive_is_the_folder(exported, tmp_path):
    path, _ = exported
    unpack(path / "tiny.tar.gz", tmp_path / "out", "tiny", 10_000_000)

    def content(folder):
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    assert content(tmp_path / "out") == content(path / "model")
    assert "saved_model.pb" in content(path / "model")
    assert saved_model_folder.information(path / "tiny.tar.gz").items() >= INFORMATION.items()


def test_code_of_the_card_runs(exported, tiny_model, tmp_path):
    path, _ = exported
    blocks = re.findall(r"```python\n(.*?)```", (path / "card.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    os.symlink(path / "model", tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 33, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    pairs = "import numpy as np\nblurred, sharp = np.random.default_rng(0).random((2, 4, 16, 16, 3), np.float32)\n"
    trained = "assert np.isfinite(model.history.history['loss'][0]) and len(model.trainable_weights) > 2\n"
    finished = subprocess.run(
        [sys.executable, "-c", blocks[0] + pairs + blocks[1] + trained],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    expected = 255 * tiny_model(pixels[None].astype(np.float32) / 255).numpy()[0]
    # Half a grey level of rounding.
    assert np.abs(np.asarray(Image.open(tmp_path / "restored.png")) - expected).max() < 0.51


def test_card():
    text = hub_card.card("tiny", 3, INFORMATION)
    assert text.startswith("# Module deblur-zoo/tiny/3\n\nRemoves motion blur from photos of faces.\n")
    for line in (
        "<!-- task: image-deblurring -->",
        "<!-- fine-tunable: true -->",
        "<!-- format: saved_model_2 -->",
        "| left eye | 0.345 | 0.335 |",
        "| right mouth | 0.625 | 0.65 |",
        "- code: Apache-2.0",
        "- weights: non-commercial",
        "A. Author, A paper, 2017, arXiv:1711.09515.",
    ):
        assert line in text.splitlines()
    assert "\nSquare crops of 128x128 pixels, border reflect, with these points, as fractions" in text
    # Nothing that was not filled in, and nothing made up.
    assert "{" not in text and "None" not in text
    bare = hub_card.card("tiny", 1)
    assert "None" not in bare and "## Paper" not in bare and bare.count("Not stated.") == 2
    assert all(len(line) <= 120 for line in bare.splitlines())


def test_interface_of_a_reusable_saved_model(written, tiny_model):
    loaded = tf.saved_model.load(str(written))
    images = np.random.default_rng(1).random((2, 9, 30, 3), dtype=np.float32)
    clipped, unclipped = (tiny_model(images, training=training).numpy() for training in (False, True))
    assert np.abs(clipped - unclipped).max() > 0.01
    # A plain array and a tensor, positional and by name.
    np.testing.assert_allclose(loaded(images), clipped, atol=1e-5)
    np.testing.assert_allclose(loaded(tf.constant(images), training=False), clipped, atol=1e-5)
    np.testing.assert_allclose(loaded(tf.constant(images), training=True), unclipped, atol=1e-5)
    restored = loaded.signatures["serving_default"](images=tf.constant(images))["restored"]
    np.testing.assert_allclose(restored, clipped, atol=1e-5)
    assert len(loaded.variables) == len(tiny_model.weights)
    known = {id(variable) for variable in loaded.variables}
    assert all(id(variable) in known for variable in loaded.trainable_variables)
    assert list(loaded.regularization_losses) == []
    values = [variable.numpy() for variable in loaded.trainable_variables]
    for value, weight in zip(values, tiny_model.trainable_weights, strict=True):
        np.testing.assert_array_equal(value, weight.numpy())


class Regularized(keras.Model):
    """Batch normalisation, dropout, a frozen layer and a regularizer, as a model of the zoo could have them."""

    kind = "deblurrer"

    def __init__(self):
        super().__init__()
        self.first = keras.layers.Conv2D(4, 3, padding="same", kernel_regularizer=keras.regularizers.L2(0.5))
        self.normalize = keras.layers.BatchNormalization()
        self.dropout = keras.layers.Dropout(0.5, seed=3)
        self.frozen = keras.layers.Conv2D(3, 1, trainable=False)
        self.built = True

    def call(self, images, training=False):
        features = self.dropout(self.normalize(self.first(images), training=training), training=training)
        return self.frozen(features)


def test_state_frozen_weights_and_regularizers(tmp_path):
    model = Regularized()
    images = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)
    model(images)
    tf_hub.write(model, tmp_path / "model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    # Kernel and bias, scale and shift; the averages, the frozen layer and the seed of dropout are not trained.
    assert (len(loaded.trainable_variables), len(loaded.variables)) == (4, 4 + 2 + 2 + 1)
    (loss,) = loaded.regularization_losses
    np.testing.assert_allclose(loss(), 0.5 * np.sum(model.first.kernel.numpy() ** 2), rtol=1e-6)
    before = [variable.numpy() for variable in model.variables]
    expected = run_tf_hub.in_training(model, model)(images)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    # The same mask of dropout, twice.
    restore = run_tf_hub.in_training(loaded, loaded)
    for _ in range(2):
        np.testing.assert_allclose(restore(tf.constant(images)), expected, atol=1e-5)
    assert np.abs(expected - model(images)).max() > 0.05


class Wrong:
    """A loaded object with a gradient that is not the loss's."""

    def __init__(self, sign):
        self.variables = self.trainable_variables = [tf.Variable(0.3)]
        self.sign = sign

    def __call__(self, images, training):
        @tf.custom_gradient
        def scaled(variable):
            return variable * images, lambda upstream: self.sign * tf.reduce_sum(upstream * images)

        return scaled(self.variables[0] + 0)


def test_fine_tuning_that_does_not_work_is_found():
    run_tf_hub.check_training(Wrong(1.0), "right")
    with pytest.raises(SystemExit, match="up: .*fine-tuning"):
        run_tf_hub.check_training(Wrong(-1.0), "up")
    with pytest.raises(SystemExit, match="flat: the loss has no gradient"):
        run_tf_hub.check_training(Wrong(0.0), "flat")
    frozen = Wrong(1.0)
    frozen.trainable_variables = []
    with pytest.raises(SystemExit, match="there are no trainable variables"):
        run_tf_hub.check_training(frozen, "frozen")


def test_archives_do_not_depend_on_times_owners_or_order(written, tmp_path):
    copies = [tmp_path / "a", tmp_path / "b"]
    for number, copy in enumerate(copies):
        (copy / "variables").mkdir(parents=True)
        files = sorted(file for file in written.rglob("*") if file.is_file())
        for file in files[:: 1 if number else -1]:
            shutil.copy(file, copy / file.relative_to(written))
            os.utime(copy / file.relative_to(written), (number, number))
        (copy / "saved_model.pb").chmod(0o600 if number else 0o644)
        tf_hub.write_archive(copy, tmp_path / f"{number}.tar.gz")
    assert (tmp_path / "0.tar.gz").read_bytes() == (tmp_path / "1.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "0.tar.gz") as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names) and "saved_model.pb" in names
    # The folder before what is in it.
    assert names.index("variables") < names.index("variables/variables.index")
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, 0, "", "")
    }
    # Bytes 4 to 7 of gzip's header are the time; the flags (byte 3) say that no file name follows.
    assert (tmp_path / "0.tar.gz").read_bytes()[3:8] == bytes(5)
    assert gzip.open(tmp_path / "0.tar.gz").read(10)


def test_failure_leaves_nothing(tiny_model, tmp_path, monkeypatch):
    seen = []

    def fail(folder, program, cases):
        seen.extend(sorted(entry.name for entry in folder.iterdir()))
        raise VerificationError("the written files differ")

    monkeypatch.setattr(tf_hub, "check_backend", lambda: None)
    monkeypatch.setattr(tf_hub, "verify", fail)
    with pytest.raises(VerificationError):
        tf_hub.export(tiny_model, tf_hub.FORMAT.target("tiny", tmp_path / "out", 1))
    assert seen == ["card.md", "model", "tiny.tar.gz"]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TypeError, match="not JSON serializable"):
        tf_hub.export(
            tiny_model, tf_hub.FORMAT.target("tiny", tmp_path / "out", 1), information={"format_version": {1}}
        )
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(tf_hub, "PACKAGES", ("keras", "no_such_package"))
    with pytest.raises(RuntimeError, match=r"no_such_package.*'deblur-zoo\[hub\]'"):
        tf_hub.check_backend()


@pytest.mark.slow
def test_an_archive_of_other_weights_is_found(with_hub, tiny_model, tmp_path, monkeypatch):
    right = tf_hub.write_archive

    def write_another(folder, path):
        other = keras.models.clone_model(tiny_model)
        other.build()
        other.set_weights([weight + 0.001 for weight in tiny_model.get_weights()])
        tf_hub.write(other, tmp_path / "other")
        right(tmp_path / "other", path)

    monkeypatch.setattr(tf_hub, "write_archive", write_another)
    with pytest.raises(VerificationError, match=r"in 10 of 35 cases: hub.load\(ARCHIVE\)"):
        tf_hub.export(tiny_model, tf_hub.FORMAT.target("tiny", tmp_path / "out", 1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["other"]


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.list_models("*_lite", kind="deblurrer"))
def test_every_lite_preset(with_hub, name, tmp_path):
    trained = zoo.presets.read_config(zoo.preset_folder(name))["weights"] is not None
    model = zoo.load(name, weights=trained)
    compared = tf_hub.export(model, tf_hub.FORMAT.target(name, tmp_path, 1))
    assert len(compared) == 35 and all(result.passed for result in compared)
