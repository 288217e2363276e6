"""The command: its files, and one sentence and code 2 on bad input. Run in this process; one test starts another."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from absl import flags
from PIL import Image
from skimage import data

from deblur_zoo import zoo
from deblur_zoo.data.face_store import fingerprint
from deblur_zoo.evaluation import __main__ as command
from deblur_zoo.evaluation.methods import CLASSICAL
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo import registry
from deblur_zoo.zoo.presets import save_preset
from tests.commands import run_python

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run():
    """A function that runs the command with arguments; flags are put back afterwards."""
    saved = flags.FLAGS

    def run(*arguments):
        rest = flags.FLAGS(["deblur-zoo-eval", *map(str, arguments)])[1:]
        return command.evaluate(rest)

    state = {name: saved[name].value for name in saved} if saved.is_parsed() else None
    yield run
    saved.unparse_flags()
    for name in saved:
        saved[name].unparse()
    if state:
        saved.mark_as_parsed()
        for name, value in state.items():
            saved[name].value = value


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset that returns its input: sharp in, sharp out is 60 dB, the gain 0."""
    model = OneStep(width=4, reduced_width=4, modules=1, kernel_sizes=(1,), scale=4, image_skip=True)
    model.build()
    folder = tmp_path_factory.mktemp("preset")
    save_preset(model, folder, "unchanging")
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Three crops of a public-domain photo with a margin of 16 that says so: it is black."""
    folder = tmp_path_factory.mktemp("crops")
    photo = data.astronaut()
    for index, left in enumerate((150, 160, 170)):
        crop = np.zeros((160, 160, 3), np.uint8)
        crop[16:144, 16:144] = photo[40:168, left : left + 128]
        Image.fromarray(crop).save(folder / f"{index}.png")
    return folder


def small_identity_network(path):
    inputs = keras.Input((112, 112, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(16)(x))
    keras.Model(inputs, keras.layers.Dense(16)(x)).save(path)
    return path


def test_report(run, preset, faces, tmp_path, capsys):
    network = small_identity_network(tmp_path / "identity.keras")
    out = tmp_path / "out"
    arguments = [
        *("--preset", preset, "--faces", faces, "--out", out, "--identity_network", network, "--limit", 2),
        *("--protocol", "kernel_sizes,sharp_in,one_step"),
    ]
    assert run(*arguments) == 0
    content = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert (out / "report.md").read_text(encoding="utf-8") in capsys.readouterr().out
    rows = {(row["protocol"], row["method"]): row for row in content["tables"]["summary"]["rows"]}
    unchanging = rows["kernel_sizes", "unchanging"]
    assert unchanging["pictures"] == 16 and unchanging["gain mean"] == 0
    # The black margin would drag this down if it were measured or blurred in.
    assert 15 < unchanging["psnr mean"] < 30
    assert 0 < unchanging["identity_cosine mean"] < 1
    assert rows["sharp_in", "unchanging"]["psnr mean"] == 60
    assert rows["one_step", "unchanging"]["pictures"] == 16
    assert any(fingerprint([faces / "1.png", faces / "0.png"])[:16] in line for line in content["about"])
    assert any("--landmarks" in line for line in content["missing"])
    assert (out / "sheets" / "kernel_sizes_unchanging.png").stat().st_size > 1000
    assert "--limit 2" in (out / "report.md").read_text(encoding="utf-8")
    before = {path: path.read_bytes() for path in (out / "measured").rglob("report.tsv")}
    page = (out / "report.json").read_bytes()
    assert run(*arguments) == 0
    # Nothing was measured again, and the numbers are the same.
    assert len(before) == 9 and {path: path.read_bytes() for path in before} == before
    assert (out / "report.json").read_bytes() == page


def test_a_second_pass_is_one_more_table(run, preset, faces, tmp_path):
    """The model returns its input: neither pass changes anything."""
    arguments = ["--preset", preset, "--faces", faces, "--protocol", "camera", "--kinds", "noise,resized"]
    document = tmp_path / "results.md"
    assert run(*arguments, "--second_pass", "--out", tmp_path / "out", "--document", document) == 0
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    rows = content["tables"]["by_second_pass"]["rows"]
    assert [row["group"] for row in rows] == ["noise", "resized", "all"]
    assert all(row["method"] == "unchanging" and row["gain, 2 passes"] == 0 for row in rows)
    assert "| resized | +0.00 (0.0 %), +0.00 (0.0 %) |" in document.read_text(encoding="utf-8")


def test_document_of_all_presets(run, faces, tmp_path, tiny_model, monkeypatch):
    hub, people = tmp_path / "hub", tmp_path / "people"
    entries = {}
    for name in ("first", "untrained"):
        save_preset(tiny_model, hub / name, name, weights=name != "untrained", without_weights="Not yet.")
        weights = json.loads((hub / name / "config.json").read_text())["weights"] or {}
        measured = {"psnr_gain_db": 1.5, "made_worse": 0.25, "ssim": 0.5, "sharp_in_psnr": 40.0, "faces": 3}
        entries[name] = {
            "kind": "deblurrer", "class": "OneStep", "weights_sha256": weights.get("sha256"),
            "weights_bytes": weights.get("bytes"), "parameters": 1_250_000, "gmac_128": 0.5,
            "measured": measured if weights else None,
            "training": weights and {"steps": 20, "faces": 40, "hours": 0.1, "device": "a chip"},
        }  # fmt: skip
    (hub / "index.json").write_text(json.dumps({"format_version": 1, "presets": entries}))
    # `zoo` first: it imports the name lazily, and would keep the replacement.
    for module in (zoo, registry):
        monkeypatch.setattr(module, "hub_folder", lambda: hub)
    people.mkdir()
    for index in range(6):
        crop = data.astronaut()[5 * index : 128 + 5 * index, 150:278]
        Image.fromarray(crop).save(people / f"female_{'asian' if index % 2 else 'black'}_{index:04d}.png")
    document = tmp_path / "results.md"
    arguments = [
        *("--preset", "all,unsharp_mask,wiener", "--faces", faces, "--limit", 2, "--groups_faces", people),
        *("--protocol", "kernel_sizes,sharp_in", "--out", tmp_path / "out", "--document", document),
    ]
    assert run(*arguments) == 0
    text = document.read_text(encoding="utf-8")
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["tables"]
    assert list(content)[:3] == ["presets", "best_for", "weak_points"] and "by_people" in content
    methods = {row["method"] for row in content["summary"]["rows"] if row["protocol"] == "kernel_sizes"}
    assert methods == {"blurred input", "first", *(CLASSICAL[name].title for name in ("unsharp_mask", "wiener"))}
    # The oracle was given the kernels: with wrong ones it would lose against the blurred faces.
    gains = {row["method"]: row["gain mean"] for row in content["summary"]["rows"] if row["protocol"] == "kernel_sizes"}
    assert gains[CLASSICAL["wiener"].title] > 1
    assert {row["group"] for row in content["by_people"]["rows"]} == {"asian", "black"}
    assert {row["method"] for row in content["by_people"]["rows"]} == {"first"}
    for words in (
        "# Results\n", "| `untrained` | 1.25 M | 0.50 G | none yet |", "+1.50 dB (25 %)", "20 steps, 0.1 h on a chip",
        "    deblur-zoo-eval --preset all,unsharp_mask,wiener --faces ", "--groups_faces people",
        "knows the kernel: balance 0.1",
    ):  # fmt: skip
        assert words in text, words
    assert str(tmp_path) not in text
    assert run(*arguments) == 0 and document.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "PRESET", "--faces", "FACES", "--document", "FACES/a.txt"], "a.txt"),
        (["--preset", "PRESET", "--faces", "FACES", "--groups_faces", "FACES"], "gives its group"),
        (["--preset", "PRESET", "--faces", "FACES", "--groups_faces", "FACES/none"], "--groups_faces"),
        (["--faces", "FACES"], "--preset is missing"),
        (["--preset", "PRESET"], "--faces is missing"),
        (["--preset", "PRESET", "--faces", "FACES/none"], "--faces"),
        (["--preset", "PRESET", "--faces", "FACES", "extra"], "unexpected argument 'extra'"),
        (["--preset", "PRESET", "--faces", "FACES", "--kernels_per_size", "11"], "kernels_per_size"),
        (["--preset", "PRESET", "--faces", "FACES", "--out", "FACES/0.png"], "0.png"),
        (["--preset", "PRESET", "--faces", "FACES", "--protocol", "mine"], "unknown protocol 'mine'"),
        (["--preset", "PRESET", "--protocol", "chrysos"], "--pairs"),
        (["--preset", "PRESET", "--faces", "FACES", "--kinds", "turning"], "--kinds"),
        (["--preset", "PRESET", "--faces", "FACES", "--gallery", "FACES"], "--identity_network"),
        (["--preset", "A=FACES/none", "--faces", "FACES"], "none"),
        (["--preset", "PRESET", "--faces", "FACES", "--second_pass"], "--second_pass"),
        (["--preset", "nothing_like_it", "--faces", "FACES"], "nothing_like_it"),
    ],
)
def test_bad_flags_are_refused(run, preset, faces, tmp_path, arguments, sentence):
    for name, path in {"PRESET": str(preset), "FACES": str(faces)}.items():
        arguments = [argument.replace(name, path) for argument in arguments]
    with pytest.raises((UsageError, OSError)) as caught:
        run(*arguments)
    assert sentence in str(caught.value)


def test_one_sentence_and_code_2(faces, tmp_path):
    wrong = tmp_path / "wrong.keras"
    wrong.write_text("not a network")
    flags = ("--identity_network", wrong, "--out", tmp_path / "out")
    done = run_python("-m", "deblur_zoo.evaluation", "--preset", "one_step_lite", "--faces", faces, *flags)
    assert done.returncode == 2 and "wrong.keras" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
