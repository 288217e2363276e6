"""The command deblur-zoo-demo; test_page.py has the page."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments, code="from deblur_zoo.demo.__main__ import main; main()"):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_without_gradio_it_names_the_extra():
    code = (
        "import importlib.util; found = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda name, *rest: None if name == 'gradio' else found(name, *rest); "
        "from deblur_zoo.demo.__main__ import main; main()"
    )
    done = run(code=code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'deblur-zoo-demo: The demo needs Gradio: pip install "deblur-zoo[demo]".\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["photo.jpg"], "unexpected argument"), (["--port", "70000"], "--port"), (["--max_pixels", "0"], "--max_pixels")],
)
def test_wrong_calls(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed")
def test_a_preset_without_weights_is_refused():
    done = run("--preset", "semantic_face_paper")
    assert done.returncode == 2 and "semantic_face_paper is not a trained preset: " in done.stderr


@pytest.mark.parametrize(("version", "accepted"), [("12.9.1", False), ("13.0.0", True)])
def test_other_computers_need_a_pillow_without_known_holes(version, accepted):
    code = (
        "from deblur_zoo.demo.__main__ import main; import importlib.util; found = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda name, *rest: name == 'gradio' or found(name, *rest); "
        f"import PIL; PIL.__version__ = {version!r}; main()"
    )
    done = run("--host", "0.0.0.0", "--preset", "nothing", code=code)
    assert done.returncode == 2
    assert ("pillow>=13" in done.stderr) == (not accepted)


def test_help():
    done = run("--help")
    assert done.returncode == 0 and "--host" in done.stdout and "127.0.0.1" in done.stdout
