"""Shards of blurred and sharp pairs give back what was put in, and what is damaged is named."""

import numpy as np
import pytest

from deblur_zoo.data import tfrecords
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.data.pair_store import list_pair_shards, load_pairs, pair_writer
from deblur_zoo.files import pictures as picture_files


def pictures(count, side=20, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 2, side, side, 3), dtype=np.uint8)


def write(path, pairs, prefix="pair"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pair_writer(path) as add:
        for i, (blurred, sharp) in enumerate(pairs):
            add(f"{prefix}/{i}", blurred, sharp)


@pytest.fixture
def folder(tmp_path):
    """Two shards, one in a sub-folder, of 3 and 2 pairs."""
    pairs = pictures(5)
    write(tmp_path / "shards" / "a.mp4.tfrecord", pairs[:3], "a")
    write(tmp_path / "shards" / "more" / "b.avi.tfrecord", pairs[3:], "b")
    return tmp_path / "shards"


def test_pairs_come_back_as_they_were(folder):
    store = load_pairs([folder])
    np.testing.assert_array_equal(store.blurred, pictures(5)[:, 0])
    np.testing.assert_array_equal(store.sharp, pictures(5)[:, 1])
    assert len(store) == 5 and not store.skipped
    assert [name.rpartition(": ")[2] for name in store.names] == ["a/0", "a/1", "a/2", "b/0", "b/1"]
    # A shard by its own name, and a pattern.
    assert len(load_pairs([folder / "a.mp4.tfrecord"])) == 3
    assert len(load_pairs([folder / "more" / "*.tfrecord"])) == 2


def test_the_sharp_ones_are_faces_too(folder):
    faces = load_faces([folder], minimum_size=16)
    np.testing.assert_array_equal(faces.faces, pictures(5)[:3, 1])


def test_fingerprint_goes_by_the_pairs_alone(folder, tmp_path):
    pairs = pictures(5)
    write(tmp_path / "other" / "z.tfrecord", pairs[::-1])
    one, other = load_pairs([folder]), load_pairs([tmp_path / "other"])
    assert one.fingerprint == other.fingerprint
    pairs[2, 0, 0, 0, 0] ^= 1
    write(tmp_path / "third" / "z.tfrecord", pairs)
    assert load_pairs([tmp_path / "third"]).fingerprint != one.fingerprint
    # Blurred and sharp are not the same thing.
    write(tmp_path / "fourth" / "z.tfrecord", pictures(5)[:, ::-1])
    assert load_pairs([tmp_path / "fourth"]).fingerprint != one.fingerprint


def test_pairs_with_a_wider_margin_lose_it(folder):
    store = load_pairs([folder], 16)
    np.testing.assert_array_equal(store.blurred, pictures(5)[:, 0, 2:18, 2:18])
    np.testing.assert_array_equal(store.sharp, pictures(5)[:, 1, 2:18, 2:18])
    for size in (24, 17):
        with pytest.raises(ValueError, match=f"20x20 .*{size}x{size}"):
            load_pairs([folder], size)


def test_what_cannot_be_used_is_named(folder, tmp_path, caplog):
    write(folder / "c.tfrecord", pictures(1, side=18), "c")
    with tfrecords.shard_writer(folder / "d.tfrecord") as add:
        add("d/faces", picture_files.encode(pictures(1)[0, 0], "png"))
        add("d/junk", b"no picture", blurred=b"no picture")
        add(
            "d/unlike",
            picture_files.encode(pictures(1)[0, 0], "png"),
            blurred=picture_files.encode(pictures(1)[0, 0, :9], "png"),
        )
    damaged = folder / "e.tfrecord"
    write(damaged, pictures(3, seed=4), "e")
    content = bytearray(damaged.read_bytes())
    content[-30] ^= 1
    damaged.write_bytes(content)
    store = load_pairs([folder])
    assert len(store) == 5 + 2
    reasons = {name.rpartition("/")[2]: reason for name, reason in store.skipped}
    assert reasons["faces"] == "the record has no feature 'blurred'"
    assert "not a picture" in reasons["junk"] and "(9, 20, 3)" in reasons["unlike"]
    assert reasons["0"] == "its size 18x18 differs from the others'"
    assert any("record 2 is damaged" in reason for reason in reasons.values()) and len(store.skipped) == 5
    assert caplog.text.count("skipped ") == 1 and "skipped 5 of the " in caplog.text and "and 2 more" in caplog.text
    with pytest.raises(FileNotFoundError, match="none of the 3 records"):
        load_pairs([folder / "d.tfrecord"])


def test_refusals(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"\*.tfrecord"):
        list_pair_shards(tmp_path)
    with pytest.raises(FileNotFoundError, match="trainers.datasets.video_pairs"):
        list_pair_shards(tmp_path / "nothing")


def test_a_shard_is_there_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), pair_writer(tmp_path / "a.tfrecord") as add:
        add("one", *pictures(1)[0])
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
