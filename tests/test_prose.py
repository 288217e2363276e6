"""Phrases that keep coming back although a native speaker would not write them, in documents, docstrings, comments and
messages.

``make lint`` checks spelling.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Phrase to what to write instead.
PHRASES = {
    r"(?<!there )\b(is|are|was|were) no\b(?! longer)": "is not a ..., has no ..., there is no ...",
    r"\bof which\b": "start a new sentence",
    r"\banew\b": "again, re-..., from scratch",
    r"\b(goes|go|going|went) on\b": "resume, continue",
    r"\bpassed over\b": "skipped",
    r"\bso-manieth\b": "every n-th",
    r"\bwhole or not at all\b": "atomically",
    r"\blet go of\b": "free, release",
    r"\bwhat becomes of\b": "how ... is processed",
}
FOLDERS = ("deblur_zoo", "trainers", "exporters", "benchmarks", "examples")


def prose(path):
    """(line number, text) of a document's lines, or of a module's docstrings, comments and messages."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return list(enumerate(text.splitlines(), 1))
    found = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += enumerate(node.value.splitlines(), node.lineno)
    return found


def files():
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    paths += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


@pytest.mark.parametrize("name", files())
def test_no_odd_phrases(name):
    found = [
        f"{name}:{line}: {match.group()!r}; better: {better}"
        for line, text in prose(ROOT / name)
        for phrase, better in PHRASES.items()
        if (match := re.search(phrase, text, re.IGNORECASE))
    ]
    assert not found, "\n".join(found)


def test_a_phrase_is_found_where_people_read_it(tmp_path):
    module = tmp_path / "module.py"
    module.write_text('"""First.\n\nMade anew."""\nx = f"{y} is no z"\nanew = 1  # This is no comment.\n')
    assert [(line, text) for line, text in prose(module) if re.search("anew|is no", text)] == [
        (5, "# This is no comment."),
        (3, "Made anew."),
        (4, " is no z"),
    ]
