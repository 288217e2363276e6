import base64
import html
import json
import re
import subprocess

import numpy as np
import pytest
from scipy import stats

from deblur_zoo.evaluation.blind.judging_page import INPUT, make_page, read_photos, restored_by
from deblur_zoo.evaluation.blind.votes import count_votes
from deblur_zoo.evaluation.methods import Method
from deblur_zoo.files import pictures
from tests.browser import CHROMIUM

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


# Three photos with three choices each: click, key, back, and what must be ignored. Then the page as if loaded again.
ACTIONS = """<script>
const found = {}, told = () => document.getElementById("told").textContent;
const press = (key, more) => document.dispatchEvent(new KeyboardEvent("keydown", { key, ...more }));
localStorage.clear();
document.querySelectorAll("figure img")[2].click();
press("3"); press("4"); press("a"); press("1", { repeat: true }); press("1", { ctrlKey: true });
found.clicked = [...votes];
back(); press("0");
found.changed = [...votes];
press("1"); press("1");
found.done = [[...votes], told(), document.querySelectorAll("figure").length];
back();
found.back = [told().slice(0, 5), document.querySelectorAll("figure").length];
found.kept = localStorage.getItem(key);
document.body.dataset.found = JSON.stringify(found);
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_votes_in_a_browser(tmp_path):
    photos = {f"{i}.png": np.full((4, 5, 3), i, np.uint8) for i in range(3)}
    page, _ = make_page(photos, {"one": photos, "two": photos}, 0, "token")
    (tmp_path / "blind.html").write_text(page.replace("</body>", f"{ACTIONS}</body>"), encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--dump-dom", (tmp_path / "blind.html").as_uri()], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', done.stdout)[1]))
    assert found["clicked"] == [1, 2] and found["changed"] == [1, None]
    assert found["done"] == [[1, None, 0], "Done: save the votes.", 0]
    assert found["back"] == ["Click", 4] and json.loads(found["kept"]) == [1, None]


def test_photos_are_restored_whole_and_grey_ones_as_rgb(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    pictures.write(tmp_path / "grey.png", grey)
    pictures.write(tmp_path / "rgb.png", np.stack([grey, grey, grey + 1], axis=-1))
    photos = read_photos(tmp_path)
    assert {name: image.shape for name, image in photos.items()} == {"grey.png": (4, 5, 3), "rgb.png": (4, 5, 3)}
    assert (photos["grey.png"] == grey[..., None]).all()
    lighter = Method("lighter", lambda batch, names, kernels: batch.blurred + len(names[0]), {})
    restored = restored_by([lighter], photos)
    assert (restored["lighter"]["grey.png"] == photos["grey.png"] + 4).all()
    assert (restored["lighter"]["rgb.png"] == photos["rgb.png"] + 3).all()
    with pytest.raises(ValueError, match="two methods are called lighter"):
        restored_by([lighter, lighter], photos)
    pictures.write(tmp_path / "see_through.png", np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(ValueError, match="transparency"):
        read_photos(tmp_path)


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
