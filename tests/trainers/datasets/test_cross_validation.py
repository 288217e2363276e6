"""Cross-validation of a parser: training data of each fold, and counted pixels."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_zoo import zoo
from deblur_zoo.metrics.parsing import confusion, f_scores
from deblur_zoo.models.face_parser import FaceParser
from deblur_zoo.zoo import presets
from trainers.datasets.folds import Training, copy_pairs, cross_validate, divide

ROOT = Path(__file__).parents[3]
RECIPE = {
    "format_version": 1, "method": "face_parser", "batch_size": 2, "average": 0.5, "steps_per_epoch": 2,
    "validate_every": 2,
    "data": {"crop_size": 128, "unblurred_share": 1.0, "kernels": {"linear": {"share": 1.0, "count": 4, "sizes": [9]}}},
    "stages": [{"name": "clear", "steps": 2, "optimizer": "sgd", "learning_rate": {"peak": 0.01, "decay": "constant"},
                "losses": {"parsing": 1.0}}],
}  # fmt: skip


@pytest.fixture
def pairs(tmp_path):
    """Three labelled pictures of 128x128."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(folder / f"{name}.png")
        Image.fromarray(rng.integers(0, 11, (128, 128), dtype=np.uint8)).save(folder / f"{name}_label.png")
    return folder


def listed(folder):
    return [(path, path.with_name(f"{path.stem}_label.png")) for path in sorted(folder.glob("?.png"))]


def test_every_pair_is_in_one_fold(pairs):
    folds = divide(listed(pairs), 2)
    assert sorted(map(len, folds)) == [1, 2]
    assert sorted(pair for fold in folds for pair in fold) == listed(pairs)
    with pytest.raises(ValueError, match="3 labelled faces .*4 folds"):
        divide(listed(pairs), 4)


def test_a_folds_folder_holds_its_pairs_alone(pairs, tmp_path):
    copy_pairs(listed(pairs)[:2], tmp_path / "copy")
    copy_pairs(listed(pairs)[2:], tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["c.png", "c_label.png"]


def test_training_sees_the_other_folds_so_often_as_said():
    training = Training("p", faces=["x", "y"], labels=["l", ""], repeat=3, init_from="w.h5")
    command = training.command(Path("others"), Path("run"))
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {"--preset": "p", "--out": "run", "--faces": "x,y,others,others,others", "--labels": "l,,,,",
                       "--init_from": "w.h5"}  # fmt: skip
    with pytest.raises(ValueError, match="2 sources .*--labels, got 1"):
        replace(training, labels=["l"]).command(Path("others"), Path("run"))


def test_scores_are_of_parsers_that_did_not_see_the_face(pairs, tmp_path):
    model = FaceParser(widths=(4, 4), name="tiny")
    model.build()
    presets.save_preset(model, tmp_path / "tiny", "tiny", weights=False)
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE))
    training = Training(tmp_path / "tiny", repeat=2, recipe=tmp_path / "recipe.json")
    content = cross_validate(training, pairs, tmp_path / "out", folds=2)
    assert content["faces"] == 3 and json.loads((tmp_path / "out" / "scores.json").read_text()) == content
    counts = 0
    for number, fold in enumerate(divide(listed(pairs), 2), 1):
        run = tmp_path / "out" / f"fold_{number}" / "run"
        trained = json.loads((run / "run.json").read_text())["faces"]
        # Each folder is named twice; a folder counts each time.
        assert trained["count"] == 2 * (3 - len(fold))
        zoo.load_initial_weights(model, run / "last.weights.h5")
        for picture, labels in fold:
            image = np.asarray(Image.open(picture), np.float32)[None] / 255
            found = np.argmax(np.asarray(model(image)), axis=-1)[0]
            counts = counts + confusion(np.asarray(Image.open(labels)), found)
    assert content["f_scores"]["hair"] == pytest.approx(f_scores(counts)[10], abs=1e-3)
    assert content["f_scores"]["left_eye"] == pytest.approx(f_scores(counts)[4], abs=1e-3)


def test_command_line_says_what_is_missing(tmp_path):
    calls = [["--out", "x"], ["--pairs", str(tmp_path / "none"), "--out", str(tmp_path / "o")], ["x"]]
    command = [
        sys.executable,
        ROOT / "tests" / "wrong_calls.py",
        "trainers.datasets.cross_validation",
        json.dumps(calls),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    (missing, nowhere, unexpected), _ = json.loads(finished.stdout)
    assert missing[0] == nowhere[0] == unexpected[0] == 2
    assert "--pairs is missing" in missing[1] and "none" in nowhere[1] and "unexpected argument 'x'" in unexpected[1]
    assert not (tmp_path / "o").exists()
