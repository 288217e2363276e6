import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from skimage import data

from deblur_zoo import zoo
from deblur_zoo.evaluation.presets import table
from deblur_zoo.files import pictures

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Where a text names a preset to be loaded: load("..."), --preset ...
EXAMPLES = re.compile(r"""(?:load|describe|from_preset|Restorer|train)\(\s*["'](\w+)["']|--presets?[ =]+([\w,]+)""")
# Commands that need no weights.
UNTRAINED = {"benchmarks.inference"}


def test_the_table_of_presets_is_the_index():
    assert table() in README, "run `python -m deblur_zoo.evaluation.presets` and put its table into the README"


def test_the_one_liner_names_a_preset_with_weights():
    assert 'deblur_zoo.load("one_step")' in README
    assert zoo.load("one_step").name == "one_step"


def test_examples_name_presets_that_load():
    known, trained = set(zoo.list_models()), set(zoo.list_models(trained=True))
    files = list(ROOT.glob("*.md"))
    for folder, pattern in (("docs", "*.md"), ("hub_models", "*.md"), ("deblur_zoo", "*.py"), ("trainers", "*.py"),
                            ("exporters", "*.py"), ("examples", "*.*"), ("benchmarks", "*.py")):  # fmt: skip
        files += [path for path in (ROOT / folder).rglob(pattern) if path.suffix in (".md", ".py")]
    found = []
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            if not any(command in line for command in UNTRAINED):
                names = [name for groups in EXAMPLES.findall(line) for group in groups for name in group.split(",")]
                found += [(path.name, name) for name in names if name in known]
    assert len(found) > 40
    assert [(file, name) for file, name in found if name not in trained] == []


def test_every_linked_file_is_there():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(links) > 5
    assert [link for link in links if not (Path(__file__).parents[1] / link).exists()] == []


def test_the_first_command_restores_the_photo_that_is_shown(tmp_path):
    """It is run as it stands, into another folder; the picture shows what it wrote, but for JPEG and rounding."""
    command = next(line.split() for line in README.splitlines() if line.strip().startswith("deblur-zoo "))
    assert README.index("deblur-zoo ") < README.index("docs/photo.jpg") < README.index("```")
    source, output = ROOT / command[1], tmp_path / command[3]
    arguments = [str(source), "-o", str(output), *command[4:]]
    done = subprocess.run([sys.executable, "-m", "deblur_zoo", *arguments], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    written = pictures.read(tmp_path / "restored_compare.jpg").astype(float)
    shown = pictures.read(ROOT / "docs" / "photo.jpg").astype(float)
    assert shown.shape == written.shape and np.abs(shown - written).mean() < 4
    sharp = data.astronaut().astype(float)
    before, after = (np.mean((half - sharp) ** 2) for half in (written[:, :512], written[:, 512:]))
    # Measured: 4.3 dB over the whole photo.
    assert 10 * np.log10(before / after) > 2
    assert (ROOT / "docs" / "photo.jpg").stat().st_size < 150_000
