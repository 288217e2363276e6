"""The notebook runs from top to bottom."""

import json
import os
from pathlib import Path

import pytest

from tests.commands import run_python

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"


def test_its_cells_run_as_one_program():
    """Without Jupyter: its code is plain Python, and it checks its own result."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in cells) and len(cells) > 3
    code = "\n".join("".join(cell["source"]) for cell in cells)
    assert "assert after > before + 2" in code
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = run_python("-c", code, cwd=NOTEBOOK.parent, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "one_step (deblurrer)" in done.stdout


@pytest.mark.slow
def test_jupyter_runs_it():
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat, _ = pytest.importorskip("nbformat"), pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", ())]
    assert len(pictures) == 2
