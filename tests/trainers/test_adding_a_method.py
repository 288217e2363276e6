"""docs/adding_a_method.md, followed to the letter: every block of it, in a package of one's own and in the zoo."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import run_python

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "adding_a_method.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))
(LINE,) = re.findall(r'^    "\w+": "deblur_zoo\.models\.\w+",$', DOCUMENT, re.MULTILINE)


def short(recipe):
    """The document's recipe, for a test: as few steps as show that it trains, on tiny crops."""
    recipe = json.loads(recipe)
    recipe |= {"batch_size": 4, "steps_per_epoch": 100, "validate_every": 100}
    recipe["data"] |= {"crop_size": 32}
    recipe["data"]["kernels"]["trajectory"] |= {"count": 30, "sizes": [13, 19, 25]}
    recipe["stages"][0] |= {"steps": 200}
    recipe["stages"][0]["learning_rate"] |= {"warmup": 5, "peak": 0.003}
    return json.dumps(recipe)


@pytest.fixture
def workplace(tmp_path):
    """A folder with crops of training and development faces."""
    rng = np.random.default_rng(0)
    for name, size, count in (("train", 48, 6), ("development", 128, 2)):
        folder = tmp_path / "crops" / name
        folder.mkdir(parents=True)
        for i in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (size // 16, size // 16, 3), dtype=np.uint8))
            coarse.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return tmp_path


def run(folder, *arguments, path=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = run_python(*arguments, cwd=folder, env=environment)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


def test_in_a_package_of_ones_own(workplace):
    assert len(FILES) == 5
    for name, text in FILES.items():
        if "/" not in name:
            (workplace / name).write_text(short(text) if name.endswith(".json") else text)
    run(workplace, "sharpen_train.py")
    rows = [dict(field.split("=") for field in line.split("\t"))
            for line in (workplace / "runs" / "sharpen" / "log.tsv").read_text().splitlines()]  # fmt: skip
    assert [row["step"] for row in rows] == ["0", "100", "200"]
    assert float(rows[-1]["psnr"]) > float(rows[0]["psnr"]) and "edges" in rows[-1]
    config = json.loads((workplace / "presets" / "sharpen_lite" / "config.json").read_text())
    assert config["class"] == "sharpen>Sharpen" and config["arguments"] == {"width": 16} and config["weights"]
    code = (
        "import numpy as np, deblur_zoo\nfrom sharpen_network import Sharpen\n"
        "model = Sharpen.from_preset('presets/sharpen_lite')\n"
        "assert model.deblur(np.zeros((9, 7, 3), np.uint8)).shape == (9, 7, 3)\n"
        "assert type(deblur_zoo.load('runs/sharpen')) is Sharpen"
    )
    run(workplace, "-c", code)
    (command,) = re.findall(r"^    python (-m exporters .*)$", DOCUMENT, re.MULTILINE)
    run(workplace, *command.split())
    assert list((workplace / "exported").rglob("saved_model.pb"))


@pytest.mark.slow
def test_in_the_zoo(workplace):
    """A copy of the repository, the new files, one line; then training, publishing and the tests of every preset."""
    copy = workplace / "copy"
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("deblur_zoo", "trainers", "exporters", "hub_models", "tests", "benchmarks", "examples"):
        shutil.copytree(ROOT / name, copy / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.move(workplace / "crops", copy)

    network = FILES["sharpen_network.py"].replace('package="sharpen"', 'package="deblur_zoo"')
    (copy / "deblur_zoo" / "models" / "sharpen.py").write_text(network)
    (copy / "trainers" / "methods" / "sharpen.py").write_text(FILES["sharpen_method.py"])
    parameters = "tests/models/sharpen_parameters.py"
    (copy / parameters).write_text(FILES[parameters])
    table = copy / "deblur_zoo" / "zoo" / "classes.py"
    table.write_text(table.read_text().replace("CLASSES = {\n", f"CLASSES = {{\n{LINE}\n", 1))
    code = (
        "import deblur_zoo\nfrom deblur_zoo.models.sharpen import Sharpen\nmodel = Sharpen(width=16)\nmodel.build()\n"
        "deblur_zoo.save_preset(model, 'hub_models/sharpen_lite', weights=False, paper={'title': 'None'})"
    )
    run(copy, "-c", code, path=copy)
    (copy / "hub_models" / "sharpen_lite" / "recipe.json").write_text(short(FILES["sharpen_recipe.json"]))
    crops = ["--development", "crops/development"]
    preset = ["--preset", "hub_models/sharpen_lite"]
    run(copy, "-m", "trainers", *preset, "--faces", "crops/train", *crops, "--out", "runs/sharpen", path=copy)
    words = ["--data", "random colours", "--license", "none"]
    run(copy, "-m", "trainers.publishing.publish", "runs/sharpen", *crops, *words, path=copy)

    code = (
        f"import deblur_zoo\nassert deblur_zoo.__file__.startswith({str(copy)!r})\n"
        "assert 'sharpen_lite' in deblur_zoo.list_models(trained=True)\nprint(deblur_zoo.describe('sharpen_lite'))\n"
        "deblur_zoo.load('sharpen_lite')"
    )
    assert "3,971" in run(copy, "-c", code, path=copy)
    assert "| `sharpen_lite` | 0.00 M |" in run(copy, "-m", "deblur_zoo.evaluation.presets", path=copy)
    tests = ["tests/models/test_every_preset.py", "tests/test_import.py"]
    chosen = "sharpen or takes_part or circle or no_file"
    report = run(copy, "-m", "pytest", "-p", "no:cacheprovider", *tests, "-k", chosen, path=copy)
    assert " passed" in report
