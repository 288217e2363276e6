"""The results command: what it measures, keeps and rejects."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data

from deblur_zoo import zoo
from deblur_zoo.evaluation import baselines, results, results_tables
from deblur_zoo.evaluation.groups import PATTERN, gains_by_group
from deblur_zoo.evaluation.measurement import evaluate
from deblur_zoo.zoo import registry
from deblur_zoo.zoo.presets import save_preset

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub(tmp_path, tiny_model, monkeypatch):
    """A hub of a trained preset and one without weights; Richardson-Lucy with a single iteration, for its time."""
    folder, entries = tmp_path / "hub", {}
    for name in ("first", "untrained"):
        save_preset(tiny_model, folder / name, name, weights=name != "untrained", without_weights="Not yet.")
        weights = json.loads((folder / name / "config.json").read_text())["weights"] or {}
        entries[name] = {
            "kind": "deblurrer", "class": "OneStep", "weights_sha256": weights.get("sha256"),
            "weights_bytes": weights.get("bytes"), "parameters": 1_250_000, "gmac_128": 0.5, "measured": None,
            "training": weights and {"steps": 20, "faces": 40, "hours": 0.1, "device": "a chip"},
        }  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"format_version": 1, "presets": entries}))
    for module in (registry, zoo):
        monkeypatch.setattr(module, "hub_folder", lambda: folder)
    quick = replace(baselines.BASELINES["richardson_lucy"], constants={"iterations": 1})
    monkeypatch.setitem(baselines.BASELINES, "richardson_lucy", quick)
    return folder


@pytest.fixture(scope="module")
def group_faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aside")
    for index in range(6):
        crop = data.astronaut()[5 * index : 128 + 5 * index, 150:278]
        Image.fromarray(crop).save(folder / f"female_{'asian' if index % 2 else 'black'}_{index:04d}.png")
    return folder


def settings(faces, folder, **changes):
    return {
        "faces": str(faces), "out": str(folder / "results.md"), "kept": str(folder / "kept"), "identity_network": None,
        "groups_faces": None, "group_pattern": PATTERN, "pairs": [], "presets": [], "limit": None, "again": False,
        "speed": False, "command": "the command", **changes,
    }  # fmt: skip


def test_document(hub, group_faces, tiny_model, tmp_path):
    wanted = settings(group_faces, tmp_path, limit=1, groups_faces=str(group_faces))
    path, json_path = results.make(wanted)
    text, content = path.read_text(encoding="utf-8"), json.loads(json_path.read_text(encoding="utf-8"))["tables"]
    paths = sorted(group_faces.iterdir())
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    first = evaluate(tiny_model, pixels[:1])
    rows = {(row["protocol"], row["method"]): row for row in content["summary"]["rows"]}
    found = rows["kernel_sizes", "first"]
    # Compiled, a pixel here and there rounds to another level.
    assert found["psnr mean"] == pytest.approx(first.psnr, abs=2e-3)
    assert found["gain mean"] == pytest.approx(first.psnr_gain, abs=2e-3) and abs(first.psnr_gain) > 0.1
    assert rows["sharp_in", "first"]["psnr mean"] == pytest.approx(first.sharp_in_psnr, abs=1e-2)
    # The oracle was given the kernels: with wrong ones it would lose against the blurred faces.
    assert rows["kernel_sizes", baselines.BASELINES["wiener"].title]["gain mean"] > 1
    assert ("camera", "first, 2 passes") in rows and ("kernel_sizes", "first, 2 passes") not in rows
    gains = gains_by_group(evaluate(tiny_model, pixels, sharp_in=False), [p.name.split("_")[1] for p in paths])
    of_people = {row["group"]: row for row in content["by_people"]["rows"]}
    for group in ("asian", "black"):
        for name in ("mean", "low", "high"):
            assert of_people[group][f"gain {name}"] == pytest.approx(gains[group][name], abs=2e-3)
        assert of_people[group]["faces"] == 3
    for words in (
        "| untrained | 1.25 M | 0.50 G | no weights | not trained |", "20 steps, 0.1 h on a chip", "    the command\n",
        f"{gains['asian']['mean']:+.2f} [", "first: ", "# Results",
    ):  # fmt: skip
        assert words in text, words
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "kept").rglob("*.csv")}
    results.make(wanted)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept and path.read_text(encoding="utf-8") == text


def test_where_a_method_gains_and_fails_by_hand():
    frame = pd.DataFrame(
        {
            "method": "a", "protocol": ["camera"] * 4 + ["sharp_in"], "group": ["jpeg", "jpeg", "noise", "noise", "x"],
            "gain": [1.0, 2.0, -1.0, 0.5, -9], "made_worse": [0, 0, 1, 0, 1],
        }
    )  # fmt: skip
    (row,) = results_tables.reading(frame).numbers.to_dict("records")
    assert row["most gain"] == "camera, jpeg: +1.50 dB (0.0 %)"
    assert row["least gain"] == row["most made worse"] == "camera, noise: -0.25 dB (50 %)"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"presets": ["untrained"]}, "'untrained'.*accepted: first"),
        ({"groups_faces": "FACES", "group_pattern": "(?P<group>x)"}, "female_asian"),
        ({"identity_network": "FACES/female_black_0000.png"}, "female_black_0000.png"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_measured(hub, group_faces, tmp_path, changes, sentence):
    changes = {
        key: value.replace("FACES", str(group_faces)) if isinstance(value, str) else value
        for key, value in changes.items()
    }
    with pytest.raises(ValueError, match=sentence):
        results.make(settings(group_faces, tmp_path, **changes))
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"faces": "none"}, "--faces"),
        ({"groups_faces": "none"}, "--groups_faces"),
        ({"identity_network": "none"}, "--identity_network"),
        ({"out": "results.txt"}, "results.txt"),
        ({"out": "none/results.md"}, "--out"),
    ],
)
def test_bad_paths(values, sentence, tmp_path):
    values = {name: str(tmp_path / value) for name, value in values.items()}
    given = {"faces": None, "groups_faces": None, "identity_network": None, "out": str(tmp_path / "a.md"), **values}
    with pytest.raises(results.UsageError, match=sentence):
        results.check_paths(given)


def test_bad_flags_give_one_sentence_and_code_2(tmp_path):
    command = [sys.executable, "-m", "deblur_zoo.evaluation.results", "--out", str(tmp_path / "results.md")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "--faces is missing" in done.stderr.splitlines()[-1]


def test_the_footers_command_names_no_folders_above():
    values = {
        "faces": "/home/somebody/crops/celeba_dev", "identity_network": "/data/n.keras", "groups_faces": None,
        "group_pattern": PATTERN, "default_pattern": PATTERN, "pairs": [], "presets": ["a", "b"], "limit": 3,
    }  # fmt: skip
    assert results.command(values) == (
        "python -m deblur_zoo.evaluation.results --faces celeba_dev --identity_network n.keras --presets a,b --limit 3"
    )
