"""The documentation site: every page is in a menu; `make docs` checks links."""

import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ROOT = Path(__file__).parents[1]
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def pages(entries):
    for entry in entries:
        for target in entry.values():
            yield from pages(target) if isinstance(target, list) else [target]


def test_every_page_is_in_the_menu_once():
    listed = list(pages(SETTINGS["nav"]))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    # Files that README.md links.
    there |= {"index.md", *(f"files/{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "examples/web/README"))}
    assert set(listed) == there and len(listed) == len(set(listed))
    assert len([name for name in listed if name.startswith("tutorials/")]) == 5
    assert SETTINGS["strict"] is True


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link_and_loads_nothing_from_the_net(tmp_path):
    pytest.importorskip("mkdocstrings", reason="the site's generator is not installed (extra docs)")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "site" / "api" / "deblur_zoo.html").read_text(encoding="utf-8")
    assert 'id="deblur_zoo.zoo.registry.load"' in page
    for path in (tmp_path / "site").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert 'src="http' not in text and "fonts.googleapis" not in text, path
    assert (tmp_path / "site" / "results.csv").stat().st_size > 10_000
