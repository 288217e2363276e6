"""Faces from folders, packs and shards are the same faces, and what is damaged is named."""

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.data import containers
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.data.packing import format_of, pack_faces


@pytest.fixture
def folder(tmp_path):
    """Five faces of 16x16, three with label maps beside them, one of these a palette PNG."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "faces"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(["a.png", "b.webp", "c.png", "sub/d.jpg", "e_label.png"]):
        pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        options = {"lossless": True} if name.endswith("webp") else {}
        Image.fromarray(pixels).save(folder / name, **options)
        if i < 3:
            label = Image.fromarray(generator.integers(0, 11, (16, 16), dtype=np.uint8))
            if i == 1:
                label.putpalette(bytes(generator.integers(0, 256, 768, dtype=np.uint8)))
                assert label.mode == "P"
            label.save(folder / f"{name[0]}_label.png")
    return folder


def decoded(folder):
    names = ["a.png", "b.webp", "c.png", "e_label.png", "sub/d.jpg"]
    faces = np.stack([np.asarray(Image.open(folder / name)) for name in names])
    labels = np.full((5, 16, 16), 255, np.uint8)
    for i, name in enumerate("abc"):
        labels[i] = np.asarray(Image.open(folder / f"{name}_label.png"))  # a palette's indices, not its colours
    return faces, labels


TARGETS = ["pack.npz", "raw.npz", "raw.npy", "shards"]


def pack(folder, out, **options):
    format = "raw" if out.name.startswith("raw") else None
    return pack_faces([folder], out, format, minimum_size=16, **options)


def test_folder_with_labels_beside_the_pictures(folder):
    store = load_faces([folder], minimum_size=16)
    faces, labels = decoded(folder)
    np.testing.assert_array_equal(store.faces, faces)
    np.testing.assert_array_equal(store.labels, labels)
    # A picture that ends like a label map but belongs to no face is a face.
    assert [path.name for path in store.paths] == ["a.png", "b.webp", "c.png", "e_label.png", "d.jpg"]


@pytest.mark.parametrize("target", TARGETS)
def test_packs_give_back_what_was_put_in(target, folder, tmp_path):
    out = tmp_path / target
    packed = pack(folder, out)
    assert (packed.count, packed.size, packed.labelled, packed.skipped) == (5, (16, 16), 3, [])
    store = load_faces([out], minimum_size=16)
    faces, labels = decoded(folder)
    np.testing.assert_array_equal(store.faces, faces)
    np.testing.assert_array_equal(store.labels, labels)
    if target != "raw.npy":  # holds pixels alone
        assert [path.name for path in store.paths] == ["a.png", "b.webp", "c.png", "e_label.png", "d.jpg"]
    # Nothing beside the targets is left over.
    assert {path.name for path in tmp_path.iterdir()} <= {"faces", target, "raw_label.npy"}


def test_fingerprint_names_the_data_and_not_the_container(folder, tmp_path):
    original = load_faces([folder], 16).fingerprint
    for target in TARGETS:
        pack(folder, tmp_path / target)
    prints = {target: load_faces([tmp_path / target], 16).fingerprint for target in TARGETS}
    # Files' bytes are kept as they are in encoded packs and shards; pixels are other data.
    assert prints["pack.npz"] == prints["shards"] == original
    assert prints["raw.npz"] == prints["raw.npy"] != original
    with np.load(tmp_path / "raw.npz") as file:
        arrays = dict(file)
    reverse = {name: arrays[name][::-1].copy() for name in ("faces", "labels", "names")}
    np.savez(tmp_path / "reversed.npz", **reverse)
    assert load_faces([tmp_path / "reversed.npz"], 16).fingerprint == prints["raw.npz"]
    # Another label, another pixel: other data.
    for name in ("faces", "labels"):
        changed = {**arrays, name: arrays[name].copy()}
        changed[name][0, 3, 3] ^= 1
        np.savez(tmp_path / "changed.npz", **changed)
        assert load_faces([tmp_path / "changed.npz"], 16).fingerprint != prints["raw.npz"]


def test_raw_array_is_mapped_and_not_copied(folder, tmp_path):
    pack(folder, tmp_path / "raw.npy")
    faces = load_faces([tmp_path / "raw.npy"], 16).faces
    base = faces
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap) and type(faces) is np.ndarray and not faces.flags.writeable


def test_mixture_of_sources_patterns_and_limits(folder, tmp_path):
    faces, _ = decoded(folder)
    pack(folder, tmp_path / "raw.npy")
    pack(folder, tmp_path / "shards", shards=3)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        f"faces-{i:05d}-of-00003.tfrecord" for i in range(3)
    ]
    store = load_faces([tmp_path / "raw.npy", folder, str(tmp_path / "shards" / "*-of-00003.tfrecord")], 16)
    np.testing.assert_array_equal(store.faces, np.concatenate([faces] * 3))
    assert len(store.labels) == 15 and (store.labels[13] == 255).all()
    store = load_faces([tmp_path / "shards", folder], 16, limit=7, exclude=lambda path: path.name == "b.webp")
    np.testing.assert_array_equal(store.faces, faces[[0, 2, 3, 4, 0, 2, 3]])


def test_labels_in_a_parallel_folder(folder, tmp_path, caplog):
    labels = tmp_path / "labels"
    (labels / "sub").mkdir(parents=True)
    expected = np.random.default_rng(1).integers(0, 11, (16, 16), dtype=np.uint8)
    Image.fromarray(expected).save(labels / "sub" / "d.png")
    store = load_faces([folder / "sub", folder], 16, labels=[labels / "sub", labels])
    assert [path.name for path in store.paths][0] == "d.jpg" and len(store) == 9
    np.testing.assert_array_equal(store.labels[0], expected)
    np.testing.assert_array_equal(store.labels[-1], expected)
    assert (store.labels[1:-1] == 255).all()
    assert "7 of the 8 faces" in caplog.text
    with pytest.raises(FileNotFoundError, match="None of the 8 faces"):
        load_faces([folder], 16, labels=[labels / "sub"])
    with pytest.raises(ValueError, match="1 sources .*got 2"):
        load_faces([folder], 16, labels=[labels, labels])
    pack(folder, tmp_path / "pack.npz")
    with pytest.raises(ValueError, match="its own labels"):
        load_faces([tmp_path / "pack.npz"], 16, labels=[labels])


def test_quality_encodes_anew(folder, tmp_path):
    pack(folder, tmp_path / "pack.npz", quality=60)
    store = load_faces([tmp_path / "pack.npz"], 16)
    faces, labels = decoded(folder)
    assert all(data[8:12] == b"WEBP" for data in containers.open_pack(tmp_path / "pack.npz").data)
    assert 1 < np.abs(store.faces.astype(int) - faces).mean() < 60  # noise survives a lossy format badly
    np.testing.assert_array_equal(store.labels, labels)
    assert store.fingerprint != load_faces([folder], 16).fingerprint


def test_damaged_pictures_and_labels_are_named_and_counted(folder, tmp_path, caplog):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    Image.new("RGB", (16, 16)).save(folder / "c_label.png")
    Image.new("L", (8, 16)).save(folder / "b_label.png")
    for target in ("pack.npz", "shards"):
        packed = pack(folder, tmp_path / target)
        assert packed.count == 3
        (picture, unreadable), (label, other_mode) = packed.skipped[1:]
        assert picture.name == "broken.png" and "not a picture that can be read" in unreadable
        assert label.name == "c.png" and "mode RGB" in other_mode
        assert packed.skipped[0][1] == "its label map is 8x16 pixels, but the face 16x16"
    assert "broken.png" in caplog.text
    # A picture in a pack that is no picture any more.
    content = containers.open_pack(tmp_path / "pack.npz")
    content.data[1] = content.data[1][:60]
    containers.write_encoded(tmp_path / "pack.npz", content.names, content.data)
    store = load_faces([tmp_path / "pack.npz"], 16)
    assert len(store) == 2 and [path.name for path, _ in store.skipped] == [content.names[1]]


def test_damaged_shard_gives_what_lies_before_the_damage(folder, tmp_path, caplog):
    pack(folder, tmp_path / "shards", shards=1)
    (shard,) = (tmp_path / "shards").iterdir()
    data = bytearray(shard.read_bytes())
    data[-30] ^= 255
    shard.write_bytes(data)
    store = load_faces([tmp_path / "shards"], 16)
    np.testing.assert_array_equal(store.faces, decoded(folder)[0][:4])
    ((path, reason),) = store.skipped
    assert path == shard / "record-4" and "rest of the shard" in reason and str(shard) in caplog.text


def test_refusals(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, sentence in [("empty", "no images"), ("absent", "absent"), ("absent/*.tfrecord", "absent")]:
        with pytest.raises(FileNotFoundError, match=sentence):
            load_faces([tmp_path / source])
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(ValueError, match="not a source"):
        load_faces([tmp_path / "text.txt"])
    pack(folder, tmp_path / "pack.npz")
    with pytest.raises(ValueError, match="16x16.*at least 128x128"):
        load_faces([tmp_path / "pack.npz"])
    whole = (tmp_path / "pack.npz").read_bytes()
    for name, content in [
        ("cut.npz", whole[:500]),
        ("text.npz", b"text"),
        ("none.npz", b""),
        ("cut.npy", b"\x93NUMPY"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            load_faces([tmp_path / name])
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="neither 'faces' nor 'data'"):
        load_faces([tmp_path / "other.npz"])
    np.save(tmp_path / "float.npy", np.zeros((2, 16, 16, 3), np.float32))
    with pytest.raises(ValueError, match=r"uint8.*float32 \(2, 16, 16, 3\)"):
        load_faces([tmp_path / "float.npy"])
    np.savez(tmp_path / "new.npz", format_version=99, faces=np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(ValueError, match="newer format"):
        load_faces([tmp_path / "new.npz"])
    with np.load(tmp_path / "pack.npz") as file:
        arrays = dict(file)
    for change in ({"offsets": arrays["offsets"] + 1}, {"data": arrays["data"][:-1]}):
        np.savez(tmp_path / "bad.npz", **{**arrays, **change})
        with pytest.raises(ValueError, match="offsets"):
            load_faces([tmp_path / "bad.npz"])
    np.savez(tmp_path / "bad.npz", **{**arrays, "names": arrays["names"][:-1]})
    with pytest.raises(ValueError, match="5 faces, but 4 names"):
        load_faces([tmp_path / "bad.npz"])


def test_targets(folder, tmp_path):
    assert [format_of(name) for name in ("a.npz", "a.npy", "a")] == ["encoded", "raw", "tfrecord"]
    for out, format in [("a.npy", "encoded"), ("a.npz", "tfrecord"), ("a", "raw"), ("a.npz", "zip")]:
        with pytest.raises(ValueError, match="format"):
            format_of(out, format)
    with pytest.raises(ValueError, match="quality .*got 90"):
        pack_faces([folder], tmp_path / "raw.npy", quality=90)
    with pytest.raises(FileExistsError, match="new or empty folder"):
        pack_faces([folder], folder, "tfrecord", minimum_size=16)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        pack_faces([folder], tmp_path / "absent" / "a.npz", minimum_size=16)


def test_shards_without_tensorflow(folder, tmp_path, monkeypatch):
    import sys

    pack(folder, tmp_path / "shards")
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # an import of it fails
    for call in (
        lambda: load_faces([tmp_path / "shards"], 16),
        lambda: pack_faces([folder], tmp_path / "other", minimum_size=16),
    ):
        with pytest.raises(ValueError, match="TensorFlow"):
            call()
    for target in ("pack.npz", "raw.npy"):
        pack(folder, tmp_path / target)
        assert len(load_faces([tmp_path / target], 16)) == 5


def test_a_failure_leaves_the_older_pack(folder, tmp_path, monkeypatch):
    pack(folder, tmp_path / "pack.npz")
    before = (tmp_path / "pack.npz").read_bytes()

    def full(*arguments, **keywords):
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError):
        pack(folder, tmp_path / "pack.npz")
    assert (tmp_path / "pack.npz").read_bytes() == before
    monkeypatch.setattr("tensorflow.io.TFRecordWriter", full)
    with pytest.raises(OSError):
        pack(folder, tmp_path / "shards")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "pack.npz"]
