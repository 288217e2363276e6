import numpy as np
import pytest
from PIL import Image
from skimage import data

from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.measures import Identity
from deblur_zoo.evaluation.methods import BLURRED_INPUT, SHARP_INPUT
from deblur_zoo.evaluation.protocols import make_test_set
from deblur_zoo.evaluation.verification import Pair, read_list, verify

LIST = "2\t1\nAnn\t1\t2\nAnn\t1\tBob_B\t1\nAnn\t2\t1\nBob_B\t1\tAnn\t2\n"


def written(tmp_path, text):
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    return path


def test_lfws_list(tmp_path):
    assert read_list(written(tmp_path, LIST)) == [
        Pair("Ann/Ann_0001", "Ann/Ann_0002", True, 0),
        Pair("Ann/Ann_0001", "Bob_B/Bob_B_0001", False, 0),
        Pair("Ann/Ann_0002", "Ann/Ann_0001", True, 1),
        Pair("Bob_B/Bob_B_0001", "Ann/Ann_0002", False, 1),
    ]
    # A development list has no folds: pairs are dealt out to ten.
    without = read_list(written(tmp_path, "12\n" + "A 1 2\n" * 12 + "A 1 B 1\n" * 12))
    assert [pair.fold for pair in without] == [number % 10 for number in range(24)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "first line"),
        ("Ann 1 2\n", "first line"),
        ("2 1\nAnn 1 2\n", "but has 1"),
        ("1\nAnn 1 2\nAnn x B 1\n", "pair 2"),
    ],
)
def test_other_lists_are_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        read_list(written(tmp_path, text))


def test_similarities_of_the_restored_first_and_the_sharp_second(tmp_path):
    for index, name in enumerate(("Ann/Ann_0001", "Ann/Ann_0002", "Bob_B/Bob_B_0001")):
        path = tmp_path / "faces" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.astronaut()[40 * index : 128 + 40 * index, 150:278]).save(path)
    test_set = make_test_set("kernel_sizes", Faces(tmp_path / "faces"))
    (tmp_path / "rows").mkdir()

    # The embedding is a picture's mean colour, so that it can be computed here.
    def embed(images, region=None):
        return images.mean(axis=(1, 2)) - 0.3

    pairs = read_list(written(tmp_path, LIST))
    arguments = [], test_set, pairs, Identity(embed, {}), tmp_path / "rows"
    found = verify(*arguments)
    sharp = found[found["method"] == SHARP_INPUT]
    assert len(sharp) == len(pairs) * 8
    embeddings = embed(test_set.faces.astype(np.float64) / 255)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    expected = {0: unit[0] @ unit[1], 1: unit[0] @ unit[2], 2: unit[1] @ unit[0], 3: unit[2] @ unit[1]}
    numbers = sharp["pair"].str.rpartition("_")[2].astype(int)
    np.testing.assert_allclose(sharp["similarity"], numbers.map(expected), atol=1e-4)
    assert (sharp["same"].astype(bool) == numbers.isin([0, 2])).all() and (sharp["fold"] == numbers // 2).all()
    blurred = found[found["method"] == BLURRED_INPUT]
    assert len(blurred) == len(sharp) and not np.allclose(blurred["similarity"], sharp["similarity"], atol=1e-4)
    assert verify(*arguments).equals(found)  # read, not measured
    with pytest.raises(ValueError, match="names Zoe/Zoe_0001"):
        verify([], test_set, [Pair("Zoe/Zoe_0001", "Ann/Ann_0001", False, 0)], *arguments[3:])
