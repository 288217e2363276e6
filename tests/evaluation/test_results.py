"""The results command: what it measures, keeps and rejects."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from deblur_zoo import zoo
from deblur_zoo.data.face_store import fingerprint
from deblur_zoo.evaluation import baselines, results, speed, table
from deblur_zoo.evaluation.groups import PATTERN, gains_by_group
from deblur_zoo.evaluation.measurement import evaluate
from deblur_zoo.evaluation.protocol import KernelSizes
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.zoo import registry
from deblur_zoo.zoo.presets import save_preset

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub(tmp_path, tiny_model, monkeypatch):
    """A hub of two trained presets and one without weights; Richardson-Lucy with a single iteration, for its time."""
    folder, entries = tmp_path / "hub", {}
    for name in ("first", "second", "untrained"):
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
    monkeypatch.setattr(speed, "RUNS", {1: 2, 16: 1})
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    for index in range(2):
        Image.fromarray(data.astronaut()[10 * index : 128 + 10 * index, 150:278]).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def group_faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aside")
    for index in range(6):
        crop = data.astronaut()[5 * index : 128 + 5 * index, 150:278]
        Image.fromarray(crop).save(folder / f"female_{'asian' if index % 2 else 'black'}_{index:04d}.png")
    return folder


OF_FACES = ("restoration", "camera", "second_pass")


def told_of(preset):
    return [f"{preset}: {part}" for part in (*OF_FACES, "speed")]


def make(faces, out, **changes):
    settings = {
        "faces": str(faces), "out": str(out), "identity_network": None, "groups_faces": None, "group_pattern": PATTERN,
        "pairs": [], "presets": [], "limit": None, "again": False, "command": "the command",
    }  # fmt: skip
    return results.make({**settings, **changes})


def rows_of(out):
    return json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))["rows"]


def test_every_number_is_the_one_of_evaluate(hub, faces, group_faces, tiny_model, tmp_path):
    out = tmp_path / "results.md"
    assert make(faces, out, groups_faces=str(group_faces)) == (out, out.with_suffix(".json"))
    rows = rows_of(out)
    assert list(rows) == ["first", "second", *baselines.BASELINES]
    protocol = KernelSizes()
    pixels = np.stack([np.asarray(Image.open(faces / f"{index}.png")) for index in range(2)])
    expected = table.summary(evaluate(tiny_model, pixels, protocol))
    restoration = rows["first"]["restoration"]
    assert restoration["of"] == {
        "weights_sha256": sha256_of(hub / "first" / "model.weights.h5"),
        "data": {
            "folder": faces.name, "fingerprint": fingerprint([faces / "0.png", faces / "1.png"]), "faces": 2,
        },
        "protocol": json.loads(json.dumps(protocol.describe())),
        "identity_network_sha256": None,
    }  # fmt: skip
    # Compiled, a pixel here and there rounds to another level.
    for part in ("blurred", "restored"):
        for name in ("psnr", "ssim"):
            assert restoration["overall"][part][name] == pytest.approx(expected["overall"][part][name], abs=1e-3)
    assert abs(restoration["overall"]["psnr_gain"]["mean"]) > 0.1  # a model without its weights would give 0
    assert restoration["sharp_in"]["psnr"]["mean"] == pytest.approx(expected["sharp_in"]["psnr"]["mean"], abs=1e-2)
    assert rows["first"]["groups"]["of"]["faces_by_group"] == {"asian": 3, "black": 3}
    paths = sorted(group_faces.iterdir())
    aside = evaluate(tiny_model, np.stack([np.asarray(Image.open(path)) for path in paths]), protocol, sharp_in=False)
    gains = gains_by_group(aside, [path.name.split("_")[1] for path in paths])
    for group in ("asian", "black"):
        assert rows["first"]["groups"]["gain_db"][group] == pytest.approx(gains[group], abs=2e-3)
    assert set(rows["first"]["speed"]["milliseconds_a_face"]) == {"1", "16"}
    assert rows["wiener"]["restoration"]["of"]["constants"] == baselines.BASELINES["wiener"].constants
    # The oracle was given the kernels: with wrong ones it would lose against the blurred faces.
    assert rows["wiener"]["restoration"]["overall"]["psnr_gain"]["mean"] > 1
    text = out.read_text(encoding="utf-8")
    for number in (
        f"{expected['overall']['restored']['psnr']['mean']:.1f}", "| `untrained` | 1.25 M | 0.50 G | no weights |",
        "20 steps, 0.1 h on a chip", "    the command\n", f"{gains['asian']['mean']:+.2f} [", "`second`: ",
    ):  # fmt: skip
        assert number in text, number


def test_a_second_call_measures_only_what_is_missing_or_has_other_weights(hub, faces, tmp_path, capsys):
    out = tmp_path / "results.md"
    make(faces, out, presets=["first"])
    told = capsys.readouterr().out.split("\n")
    oracle = "richardson_lucy: restoration"
    assert told[:5] == [*told_of("first"), "unsharp_mask: restoration"] and oracle in told
    assert "| `second` |" in out.read_text() and "not measured" in out.read_text()
    document = out.read_text()
    make(faces, out, presets=["first"])
    assert capsys.readouterr().out == "" and out.read_text() == document
    make(faces, out)
    assert capsys.readouterr().out.splitlines() == told_of("second")
    assert "not measured | not measured" not in out.read_text()
    # Another training of the first preset.
    model = zoo.load("first")
    model.set_weights([0.9 * weight for weight in model.get_weights()])
    config = save_preset(model, hub / "first", "first")
    index = json.loads((hub / "index.json").read_text())
    index["presets"]["first"]["weights_sha256"] = config["weights"]["sha256"]
    (hub / "index.json").write_text(json.dumps(index))
    before = rows_of(out)
    make(faces, out, presets=["second"])
    # Not asked for, and no longer true: the document does not show it.
    assert capsys.readouterr().out == "" and "not measured" in out.read_text()
    make(faces, out)
    assert capsys.readouterr().out.splitlines() == told_of("first")
    after = rows_of(out)
    assert after["first"]["restoration"]["overall"] != before["first"]["restoration"]["overall"]
    assert after["second"] == before["second"]
    # Other faces: everything but the times.
    make(faces, out, limit=1)
    told = capsys.readouterr().out.splitlines()
    presets = [f"{row}: {part}" for row in ("first", "second") for part in OF_FACES]
    assert told == [*presets, *(f"{row}: restoration" for row in baselines.BASELINES)]
    make(faces, out, limit=1, presets=["second"], again=True)
    assert len(capsys.readouterr().out.splitlines()) == 4 + len(baselines.BASELINES)


def test_a_call_that_breaks_off_keeps_what_it_measured_and_writes_no_document(hub, faces, tmp_path, monkeypatch):
    out = tmp_path / "results.md"
    monkeypatch.setattr(speed, "milliseconds_a_face", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(faces, out)
    assert not out.exists() and list(rows_of(out)) == ["first"] and list(rows_of(out)["first"]) == list(OF_FACES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub", "results.json"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"presets": ["untrained"]}, "'untrained'.*accepted: first, second"),
        ({"groups_faces": "FACES"}, "0.png"),
        ({"identity_network": "FACES/0.png"}, "0.png"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_measured(hub, faces, tmp_path, changes, sentence):
    changes = {
        key: value.replace("FACES", str(faces)) if isinstance(value, str) else value for key, value in changes.items()
    }
    with pytest.raises(ValueError, match=sentence):
        make(faces, tmp_path / "results.md", **changes)
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


def test_another_file_is_not_overwritten(hub, faces, tmp_path):
    (tmp_path / "results.json").write_text('{"format_version": 1, "presets": {}}')
    with pytest.raises(ValueError, match="results.json"):
        make(faces, tmp_path / "results.md")
    assert (tmp_path / "results.json").read_text() == '{"format_version": 1, "presets": {}}'


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--faces is missing"),
        (["--faces", "FACES/none"], "--faces"),
        (["--faces", "FACES", "--groups_faces", "FACES/none"], "--groups_faces"),
        (["--faces", "FACES", "--identity_network", "FACES/none"], "--identity_network"),
        (["--faces", "FACES", "--out", "OUT/results.txt"], "results.txt"),
        (["--faces", "FACES", "--out", "OUT/none/results.md"], "--out"),
        (["--faces", "FACES", "--presets", "umsn", "--out", "OUT/results.md"], "'umsn'"),
    ],
)
def test_bad_flags_give_one_sentence_and_code_2(faces, tmp_path, arguments, sentence):
    arguments = [word.replace("FACES", str(faces)).replace("OUT", str(tmp_path)) for word in arguments]
    command = [sys.executable, "-m", "deblur_zoo.evaluation.results", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and sentence in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_footers_command_names_no_folders_above():
    values = {
        "faces": "/home/somebody/crops/celeba_dev", "identity_network": "/data/net.keras", "groups_faces": None,
        "group_pattern": PATTERN, "default_pattern": PATTERN, "pairs": ["/data/dev_7"], "presets": ["one_step_lite"],
        "limit": 3,
    }  # fmt: skip
    assert results.command(values) == (
        "python -m deblur_zoo.evaluation.results --faces celeba_dev --identity_network net.keras "
        "--pairs dev_7 --presets one_step_lite --limit 3"
    )
