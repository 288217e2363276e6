import re
from pathlib import Path

from deblur_zoo import zoo
from deblur_zoo.evaluation.presets import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Where a text names a preset to be loaded: load("..."), --preset ...
EXAMPLES = re.compile(r"""(?:load|describe|from_preset|Restorer|train)\(\s*["'](\w+)["']|--presets?[ =]+([\w,]+)""")
# Commands that need no weights.
UNTRAINED = {"benchmarks.inference"}


def test_the_table_of_presets_is_the_index():
    assert table() in README, "run `python -m deblur_zoo.evaluation.presets` and put its table into the README"


def test_the_one_liner_names_a_preset_with_weights():
    assert 'deblur_zoo.load("one_step_lite")' in README
    assert zoo.load("one_step_lite").name == "one_step_lite"


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
