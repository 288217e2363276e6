import re
from pathlib import Path

from deblur_zoo import zoo
from deblur_zoo.evaluation.presets import table

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_table_of_presets_is_the_index():
    assert table() in README, "run `python -m deblur_zoo.evaluation.presets` and put its table into the README"


def test_the_one_liner_names_a_preset_with_weights():
    assert 'deblur_zoo.load("one_step_lite")' in README
    assert zoo.load("one_step_lite").name == "one_step_lite"


def test_every_linked_file_is_there():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(links) > 5
    assert [link for link in links if not (Path(__file__).parents[1] / link).exists()] == []
