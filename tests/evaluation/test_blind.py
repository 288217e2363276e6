import base64
import json
import re

import numpy as np
import pytest
from scipy import stats

from deblur_zoo.evaluation.blind import INPUT, count_votes, make_page
from deblur_zoo.files import pictures

KEY = {"token": "t", "rounds": [{"photo": f"{i}", "methods": ["a", INPUT, "b"]} for i in range(4)]}


def test_the_page_shows_what_the_key_says_in_another_order_each_time():
    values = {INPUT: 10, "one": 20, "two": 30}
    photos = {f"{i}.png": np.full((4, 5, 3), values[INPUT] + i, np.uint8) for i in range(8)}
    restored = {
        method: {name: image - 10 + values[method] for name, image in photos.items()} for method in ("one", "two")
    }
    page, key = make_page(photos, restored, 0, "token")
    rounds = json.loads(re.search(r"const rounds = (.*);", page)[1])
    assert sorted(one["photo"] for one in key["rounds"]) == sorted(photos)
    assert len({tuple(one["methods"]) for one in key["rounds"]}) > 1
    for shown, known in zip(rounds, key["rounds"], strict=True):
        number = int(known["photo"][0])
        for uri, method in zip(shown["choices"], known["methods"], strict=True):
            image = pictures.decode(base64.b64decode(uri.partition(",")[2]))
            assert (image == values[method] + number).all() and image.shape == (4, 5, 3)
    # Nothing on the page tells which method or photo is shown.
    without_pixels = re.sub(r"base64,[^\"]*", "", page)
    assert ".png" not in without_pixels and not re.search(r"\b(one|two)\b", without_pixels)
    assert make_page(photos, restored, 1, "token")[1] != key


def test_votes_by_hand():
    found = count_votes(KEY, {"token": "t", "votes": [0, 0, None, 2]})
    assert [one[:3] for one in found] == [("a", 2, 3), ("b", 1, 3), (INPUT, 0, 3)]
    assert found[0][3] == pytest.approx(stats.binomtest(2, 3, 1 / 3).pvalue)
    assert count_votes(KEY, {"token": "t", "votes": []})[0][1:3] == (0, 0)


@pytest.mark.parametrize("votes", [{"token": "u", "votes": []}, {"token": "t", "votes": [3]}, [], {"token": "t"},
                                   {"token": "t", "votes": [0] * 5}])  # fmt: skip
def test_other_votes_are_refused(votes):
    with pytest.raises(ValueError, match="votes"):
        count_votes(KEY, votes)
