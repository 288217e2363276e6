import numpy as np
import pytest
from PIL import Image

from deblur_zoo.data.pair_store import pair_writer
from deblur_zoo.evaluation.given_pairs import GivenPairs, read_pairs
from deblur_zoo.evaluation.methods import open_method
from deblur_zoo.evaluation.protocols import make_test_set


def random_pictures(count, size=128, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    for part, images in (("blurred", random_pictures(2)), ("sharp", random_pictures(2, seed=1))):
        (tmp_path / part).mkdir()
        for name, image in zip("ba", images, strict=True):
            Image.fromarray(image).save(tmp_path / part / f"{name}.{'bmp' if part == 'sharp' else 'png'}")
    return tmp_path


def test_a_folder_of_pairs(folder):
    pairs = read_pairs(folder)
    assert pairs.names == ["a", "b"]
    assert np.array_equal(pairs.blurred, random_pictures(2)[::-1])
    assert np.array_equal(pairs.sharp, random_pictures(2, seed=1)[::-1])
    before = pairs.fingerprint
    Image.fromarray(random_pictures(1, seed=2)[0]).save(folder / "blurred" / "a.png")
    assert read_pairs(folder).fingerprint != before


def test_people_are_sub_folders_and_names_are_not_confused(folder):
    for part in ("blurred", "sharp"):
        for name in ("ann/1", "ann/2", "bob/1"):
            (folder / part / name).parent.mkdir(exist_ok=True)
            Image.fromarray(random_pictures(1)[0]).save(folder / part / f"{name}.png")
    pairs = read_pairs(folder)
    assert pairs.names == ["a", "ann_1", "ann_2", "b", "bob_1"]
    assert pairs.people == ["a", "ann", "ann", "b", "bob"]
    for part in ("blurred", "sharp"):
        Image.fromarray(random_pictures(1)[0]).save(folder / part / "bob_1.png")
    with pytest.raises(ValueError, match="two pairs called bob_1"):
        GivenPairs.of_sources("pairs", {"mine": folder})


def test_outputs_for_pairs_have_the_names_of_the_pairs(folder, tmp_path_factory):
    """Another method's output for blurred/ann/1.png is ann/1.png or ann_1.png; a grey one counts as RGB."""
    outputs = tmp_path_factory.mktemp("outputs")
    for part in ("blurred", "sharp"):
        for name in ("ann/1", "ann/2"):
            (folder / part / name).parent.mkdir(exist_ok=True)
            Image.fromarray(random_pictures(1)[0]).save(folder / part / f"{name}.png")
    (outputs / "ann").mkdir()
    for name, value in (("a", 10), ("ann/1", 20), ("ann_2", 30), ("b", 40)):
        Image.new("L", (128, 128), value).save(outputs / f"{name}.png")
    test_set = make_test_set("pairs", pairs={"mine": folder})
    (batch,) = test_set.protocol.batches(batch_size=8)
    restored = open_method(f"THEIRS={outputs}").restore(batch, test_set.pair_names(batch), None)
    assert restored.shape == (4, 128, 128, 3)
    assert [np.unique(image).tolist() for image in restored] == [[10], [20], [30], [40]]
    several = make_test_set("pairs", pairs={"mine": folder, "more": folder})
    assert several.pair_names(next(several.protocol.batches(batch_size=8)))[0] == "mine_a"


def test_faulty_folders(folder):
    (folder / "sharp" / "a.bmp").rename(folder / "sharp" / "c.bmp")
    with pytest.raises(ValueError, match="a is in only one"):
        read_pairs(folder)
    (folder / "sharp" / "c.bmp").rename(folder / "sharp" / "a.bmp")
    Image.fromarray(random_pictures(1, 64)[0]).save(folder / "sharp" / "a.bmp")
    with pytest.raises(ValueError, match="128x128 and 64x64|64x64 and 128x128"):
        read_pairs(folder)


def test_rows_of_averages_and_their_faces_blurred_by_kernels(tmp_path):
    for length, count in ((7, 2), (21, 1)):
        with pair_writer(tmp_path / f"{length}.tfrecord") as write:
            for index in range(count):
                write(f"{index}", random_pictures(1, 144, seed=index)[0], random_pictures(1, 144, seed=length)[0])
    sources = {"7": tmp_path / "7.tfrecord", "21": tmp_path / "21.tfrecord"}
    protocol = GivenPairs.of_sources("chrysos", sources, synthetic=True)
    assert protocol.groups == ["7", "21", "synthetic"] and protocol.count() == 3 + 3 * 8
    batches = list(protocol.batches(batch_size=2))
    assert [(batch.group, batch.faces.tolist()) for batch in batches[:2]] == [("7", [0, 1]), ("21", [2])]
    assert protocol.names == ["7_7_0", "7_7_1", "21_21_0"] and protocol.people == ["7", "7", "21"]
    # The margin is cut.
    assert np.array_equal(batches[0].blurred[1], random_pictures(1, 144, seed=1)[0, 8:-8, 8:-8])
    test_set = make_test_set("chrysos", pairs=sources)
    assert [test_set.units(batch) for batch in batches[:3]] == [["7", "7"], ["21"], ["7", "7"]]
    synthetic = [batch for batch in batches if batch.group == "synthetic"]
    assert sum(len(batch.faces) for batch in synthetic) == 24
    assert np.array_equal(synthetic[0].sharp, protocol.sharp[synthetic[0].faces])
    assert not np.array_equal(synthetic[0].sharp, synthetic[0].blurred)
