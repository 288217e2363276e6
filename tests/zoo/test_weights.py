import errno

import h5py
import numpy as np
import pytest
from keras import layers, models

from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo.weights import load_weights, save_weights_float16

KERNEL = "first/vars/0"


def fresh(**changes):
    model = OneStep(**{"width": 8, "reduced_width": 4, "modules": 1, "kernel_sizes": [1, 3], "scale": 2, **changes})
    model.build()
    return model


@pytest.fixture
def file(tmp_path, tiny_model):
    path = tmp_path / "model.weights.h5"
    save_weights_float16(tiny_model, path)
    return path


def test_sha256_of_three_letters(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_weights_come_back(file, tiny_model):
    model = fresh()
    load_weights(model, file)
    for ours, theirs in zip(model.get_weights(), tiny_model.get_weights(), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


def test_every_float_is_stored_as_float16(file, tmp_path):
    with h5py.File(file) as opened:
        kinds = []
        opened.visititems(lambda name, item: kinds.append(item.dtype) if isinstance(item, h5py.Dataset) else None)
    assert set(kinds) == {np.dtype(np.float16)}
    model = fresh()
    save_weights_float16(model, file)
    before = model.get_weights()
    load_weights(model, file)
    for rounded, exact in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(rounded, exact.astype(np.float16))


def test_a_keras_that_leaves_layers_out_is_found(tmp_path, file, tiny_model, monkeypatch):
    """As Keras below 3.15 does with lists of lists, when it writes and when it reads."""
    model, keras_save, left_out = fresh(), tiny_model.save_weights, []

    def save_all_but_one(path):
        keras_save(path)
        with h5py.File(path, "r+") as opened:
            left_out.append(opened[KERNEL].size)
            del opened[KERNEL]

    monkeypatch.setattr(tiny_model, "save_weights", save_all_but_one)
    with pytest.raises(ValueError, match="Keras wrote [0-9,]+ of the [0-9,]+ weights of") as refused:
        save_weights_float16(tiny_model, tmp_path / "less.weights.h5")
    total = sum(weight.size for weight in tiny_model.get_weights())
    assert left_out and f"wrote {total - left_out[0]:,} of the {total:,}" in str(refused.value)
    assert list(tmp_path.iterdir()) == [file]
    # A kernel that stays as it was.
    keras_load, kernel = model.load_weights, model.weights[0]

    def load_all_but_one(path):
        before = kernel.numpy()
        keras_load(path)
        kernel.assign(before)

    monkeypatch.setattr(model, "load_weights", load_all_but_one)
    with pytest.raises(ValueError, match="not .* all weights of .*model.weights.h5"):
        load_weights(model, file)


def test_float32_files_are_taken_too_and_the_optimizer_is_left_out(tmp_path, tiny_model, file):
    model = fresh()
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((1, 4, 4, 3)), np.ones((1, 4, 4, 3)))
    model.save_weights(tmp_path / "trained.weights.h5")
    other = fresh()
    load_weights(other, tmp_path / "trained.weights.h5")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    save_weights_float16(model, tmp_path / "half.weights.h5")
    with h5py.File(tmp_path / "half.weights.h5") as opened:
        assert "optimizer" not in opened
    assert abs((tmp_path / "half.weights.h5").stat().st_size - file.stat().st_size) < 100


def test_counters_stay_whole_numbers(tmp_path):
    model = models.Sequential([layers.Input((2,)), layers.Dense(1), layers.Dropout(0.5, seed=70_000)])
    save_weights_float16(model, tmp_path / "a.weights.h5")
    load_weights(model, tmp_path / "a.weights.h5")
    assert 70_000 in np.asarray(model.layers[1].seed_generator.state)


def test_the_same_weights_give_the_same_bytes(file, tmp_path, tiny_model):
    save_weights_float16(tiny_model, tmp_path / "again.weights.h5")
    assert (tmp_path / "again.weights.h5").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, 70_000])
def test_weights_that_float16_cannot_hold_are_not_written(tmp_path, value):
    model = fresh()
    model.weights[0].assign(np.full(model.weights[0].shape, value))
    with pytest.raises(ValueError, match="first/vars/0 .*65,504"):
        save_weights_float16(model, tmp_path / "a.weights.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_ending_is_checked(tmp_path, tiny_model):
    with pytest.raises(ValueError, match=r"end in \.weights\.h5"):
        save_weights_float16(tiny_model, tmp_path / "model.h5")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(file, value):
    with h5py.File(file, "r+") as opened:
        opened[KERNEL][0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=f"NaN .*/{KERNEL}"):
        load_weights(fresh(), file)


@pytest.mark.parametrize("changes", [{"modules": 2}, {"width": 9}, {"reduction": False}])
def test_another_network_is_refused(file, changes):
    with pytest.raises(ValueError, match="belongs to another network"):
        load_weights(fresh(**changes), file)


def test_a_file_of_a_larger_network_is_refused(tmp_path, tiny_model):
    save_weights_float16(fresh(modules=2), tmp_path / "a.weights.h5")
    # Keras alone takes this file without a word.
    with pytest.raises(ValueError, match="belongs to another network"):
        load_weights(fresh(), tmp_path / "a.weights.h5")


def test_the_right_number_of_weights_in_other_shapes_is_refused(file):
    with h5py.File(file, "r+") as opened:
        values = opened[KERNEL][()]
        del opened[KERNEL]
        opened[KERNEL] = values.swapaxes(2, 3)
    with pytest.raises(ValueError, match="does not fit the network"):
        load_weights(fresh(), file)


def test_missing_truncated_and_other_files(file, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no weight file"):
        load_weights(fresh(), tmp_path / "absent.weights.h5")
    data = file.read_bytes()
    for damaged in (b"", b"text", data[:-1], data[: len(data) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged, or not HDF5"):
            load_weights(fresh(), file)


def external_link(group, name, values, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["values"] = values
    group[name] = h5py.ExternalLink(str(folder / "other.h5"), "values")


def soft_link(group, name, values, folder):
    group.file["elsewhere"] = values
    group[name] = h5py.SoftLink("/elsewhere")


def virtual_dataset(group, name, values, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["values"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(str(folder / "other.h5"), "values", values.shape)
    group.create_virtual_dataset(name, layout)


def external_storage(group, name, values, folder):
    (folder / "raw").write_bytes(values.tobytes())
    group.create_dataset(name, values.shape, values.dtype, external=[(str(folder / "raw"), 0, values.nbytes)])


def text(group, name, values, folder):
    group[name] = "text"


def twice(group, name, values, folder):
    group[name] = values
    group["again"] = group[name]


def itself(group, name, values, folder):
    group[name] = values
    group["parent"] = group


@pytest.mark.parametrize(
    "damage, message",
    [
        (external_link, "holds a link"),
        (soft_link, "holds a link"),
        (virtual_dataset, "outside itself"),
        (external_storage, "outside itself"),
        (text, "not numbers"),
        (twice, "twice"),
        (itself, "twice"),
    ],
)
def test_files_that_reach_outside_or_loop_are_refused(file, tmp_path, damage, message):
    with h5py.File(file, "r+") as opened:
        values = opened[KERNEL][()]
        del opened[KERNEL]
        group, name = KERNEL.rsplit("/", 1)
        damage(opened[group], name, values, tmp_path)
    with pytest.raises(ValueError, match=message):
        load_weights(fresh(), file)


def test_a_declared_terabyte_is_refused_unread(file):
    with h5py.File(file, "r+") as opened:
        opened.create_dataset("huge", (1 << 40,), np.float16)
    with pytest.raises(ValueError, match="belongs to another network"):
        load_weights(fresh(), file)


def test_an_empty_integer_dataset_in_a_kernels_place_is_refused_unread(file):
    with h5py.File(file, "r+") as opened:
        values = opened[KERNEL][()]
        del opened[KERNEL]
        opened["elsewhere"] = values
        opened.create_dataset(KERNEL, (1 << 40,), np.int8)
    with pytest.raises(ValueError, match=f"/{KERNEL} .*int8"):
        load_weights(fresh(), file)


@pytest.mark.parametrize("options", [{"chunks": True}, {"compression": "gzip"}, {"shuffle": True}])
def test_chunks_and_compression_are_refused(file, options):
    with h5py.File(file, "r+") as opened:
        values = opened[KERNEL][()]
        del opened[KERNEL]
        opened.create_dataset(KERNEL, data=values, **options)
    with pytest.raises(ValueError, match="chunked or compressed"):
        load_weights(fresh(), file)


def test_a_file_that_is_far_too_large_is_not_copied(file):
    with open(file, "r+b") as opened:
        # Sparse: it takes no room.
        opened.truncate(1 << 40)
    with pytest.raises(ValueError, match="larger than any weight file"):
        load_weights(fresh(), file)


def test_what_was_checked_is_what_is_loaded(file, tiny_model, monkeypatch):
    model, read = fresh(), OneStep.load_weights

    def change_the_file_first(self, path):
        file.write_bytes(b"changed")
        read(self, path)

    monkeypatch.setattr(OneStep, "load_weights", change_the_file_first)
    load_weights(model, file, sha256_of(file))
    assert file.read_bytes() == b"changed"
    np.testing.assert_array_equal(model.get_weights()[0], tiny_model.get_weights()[0])
    with pytest.raises(ValueError, match="altered"):
        load_weights(model, file, "0" * 64)


def test_nothing_is_left_where_the_disk_is_full(file, tiny_model, monkeypatch):
    before = file.read_bytes()

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError) as raised:
        save_weights_float16(fresh(), file)
    assert raised.value.filename == str(file)
    monkeypatch.undo()
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]
