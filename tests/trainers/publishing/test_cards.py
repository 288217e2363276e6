"""Every published preset's card: its row, its limits, who should not use it, its data and its licence."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from deblur_zoo import zoo
from deblur_zoo.zoo import presets, registry
from tests.commands import run_python
from trainers.publishing import cards
from trainers.publishing.model_card import make_card, published

ROOT = Path(__file__).parents[3]
PUBLISHED = published()


def test_there_are_published_presets():
    assert {"one_step_lite", "face_parser"} <= set(PUBLISHED) and "umsn_paper" not in PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_card_carries_its_row_limits_data_and_licence(name):
    entry, folder = PUBLISHED[name], zoo.hub_folder() / name
    path, card = make_card(name, entry)
    assert path == folder / "README.md"
    training, config = (presets.read_json(folder / f"{part}.json") for part in ("training", "config"))
    measured = entry["measured"]
    if entry["kind"] == "deblurrer":
        worse = f"{100 * measured['made_worse']:.1f} %" if "made_worse" in measured else "not measured"
        row = f"| {measured['psnr_gain_db']:+.2f} dB | {worse} | {measured['psnr']:.2f} dB | {measured['ssim']:.3f} | "
        row += f"{measured['sharp_in_psnr']:.1f} dB | {measured['faces']} |"
        overall = presets.read_json(folder / "metrics.json")["overall"]
        worst = overall["restored"]["psnr"]
        table = f"{worst['mean']:.2f} ± {worst['std']:.2f} ({worst['worst']:.2f}) | {overall['psnr_gain']['mean']:+.2f}"
    else:
        row, table = f"| {measured['mean_f_score']:.3f} | {measured['faces']} |", "| left_eye |"
    for text in (
        f"\n{row}\n", table, "## Limits, and who should not use it", "- **Who should not use it:** anybody who",
        f"- Trained on {training['data']}.", training["faces"]["sha256"],
        f"{training['faces']['count']:,} training faces",
        f"Weights: {config['license']['weights']}.", entry["weights_sha256"], f"{entry['parameters']:,}",
        f"{training['steps']} (", training["note"],
    ):  # fmt: skip
        assert text in card, text


@pytest.fixture
def hub(tmp_path, monkeypatch):
    folder = tmp_path / "hub"
    for name in ("face_parser", "umsn_lite"):
        shutil.copytree(zoo.hub_folder() / name, folder / name)
        (folder / name / "README.md").write_text("an old card")
    index = {"format_version": 1, "presets": {name: PUBLISHED[name] for name in ("face_parser", "umsn_lite")}}
    (folder / "index.json").write_text(json.dumps(index))
    # `zoo` first: it imports the name lazily, and would keep the replacement.
    for module in (zoo, registry):
        monkeypatch.setattr(module, "hub_folder", lambda: folder)
    return folder


def test_the_record_of_an_older_run_names_its_identity_network(hub):
    path = hub / "umsn_lite" / "training.json"
    record = json.loads(path.read_text())
    record.pop("networks", None)
    record["recipe"] |= {"critic": None, "auxiliary": None}
    path.write_text(json.dumps({**record, "facial_loss": True}))
    _, card = make_card("umsn_lite", PUBLISHED["umsn_lite"])
    assert "| networks used in training | identity |" in card


def test_cards_are_written_all_or_none(hub, monkeypatch):
    monkeypatch.setattr(cards, "flags", type("Flags", (), {"FLAGS": type("Values", (), {"presets": ["umsn_lite"]})}))
    assert cards.cards([]) == 0
    text = (hub / "umsn_lite" / "README.md").read_text()
    assert text.startswith("---\nlicense: ") and "\n---\n\n# umsn_lite\n" in text
    assert (hub / "face_parser" / "README.md").read_text() == "an old card"
    cards.flags.FLAGS.presets = []
    (hub / "umsn_lite" / "README.md").write_text("an old card")
    (hub / "umsn_lite" / "metrics.json").write_text("{}")
    with pytest.raises(cards.UsageError, match="umsn_lite has no measured table"):
        cards.cards([])
    assert {(hub / name / "README.md").read_text() for name in ("face_parser", "umsn_lite")} == {"an old card"}
    (hub / "umsn_lite" / "training.json").write_text("{}")
    with pytest.raises(cards.UsageError, match="umsn_lite .*('recipe'|measured table)"):
        cards.cards([])


def test_without_the_extra_a_sentence_says_how_to_get_it(hub, monkeypatch):
    monkeypatch.setattr(cards, "flags", type("Flags", (), {"FLAGS": type("Values", (), {"presets": ["umsn_lite"]})}))
    # As if pandas, which it imports, were missing.
    monkeypatch.setitem(sys.modules, "trainers.publishing.model_card", None)
    with pytest.raises(cards.UsageError, match=r"not installed: pip install 'deblur-zoo\[eval\]'"):
        cards.cards([])


def test_the_command_says_what_it_accepts():
    done = run_python("-m", "trainers.publishing.cards", "--presets", "umsn_paper")
    assert done.returncode == 2
    assert "'umsn_paper'; accepted: enhancement_gan" in done.stderr
