"""The arrows of docs/architecture.md, the size of files, and how much an import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests import import_rules as rules

ROOT = Path(__file__).parent.parent


def dotted(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {dotted(path): path for folder in rules.OURS for path in sorted((ROOT / folder).rglob("*.py"))}
IMPORTS = {
    module: rules.imports(path.read_text(encoding="utf-8"), module, FILES, path.name == "__init__.py")
    for module, path in FILES.items()
}
AT_START = {module: [name for name, at_start in found if at_start] for module, found in IMPORTS.items()}
# Without benchmarks and scripts that take no flags; the SavedModel runner is a process started to load TensorFlow.
COMMAND_LINES = [
    module
    for module, path in FILES.items()
    if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
    and not module.startswith(("benchmarks", "examples.make_example", "exporters.run_saved_model"))
]


def test_the_project_was_found():
    assert {"deblur_zoo", "deblur_zoo.zoo", "deblur_zoo.models.one_step", "trainers.__main__"} <= set(FILES)
    assert {"deblur_zoo.__main__", "deblur_zoo.restoration.__main__", "exporters.__main__"} <= set(COMMAND_LINES)


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module):
    assert rules.arrow_violations(module, [name for name, _ in IMPORTS[module]]) == []


def test_no_file_imports_itself_through_others():
    # Imports of oneself are names of a package that its __init__.py brings.
    graph = {module: {name for name, _ in found} - {module} for module, found in IMPORTS.items()}
    assert rules.circles(graph) == []


@pytest.mark.parametrize("module", FILES)
def test_packages_are_imported_where_they_may_be(module):
    assert rules.package_violations(module, [name for name, _ in IMPORTS[module]], set(sys.stdlib_module_names)) == []


@pytest.mark.parametrize(
    "module",
    [
        "deblur_zoo",
        "deblur_zoo.zoo.registry",
        "deblur_zoo.restoration.folders",
        "deblur_zoo.faces",
        "deblur_zoo.models",
        *COMMAND_LINES,
    ],
)
def test_nothing_heavy_is_imported_at_start(module):
    packages = {name.split(".")[0] for name in rules.reached_at_start(module, AT_START)}
    assert packages & rules.HEAVY == set()


@pytest.mark.parametrize("path", [*FILES.values(), *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda p: p.name)
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_every_folder_says_in_two_lines_what_belongs_there():
    for folder in sorted({path.parent for path in FILES.values()}):
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        assert len([line for line in docstring.splitlines() if line.strip()]) >= 2, f"{folder}/__init__.py"


def check(module, source):
    names = [name for name, _ in rules.imports(source, module, FILES)]
    return rules.arrow_violations(module, names) + rules.package_violations(module, names, set(sys.stdlib_module_names))


@pytest.mark.parametrize(
    "module, source, sentence",
    [
        (
            "deblur_zoo.layers.new",
            "from deblur_zoo.models import one_step",
            "imports deblur_zoo.models.one_step upwards",
        ),
        (
            "deblur_zoo.layers.new",
            "from deblur_zoo.files import pictures",
            "imports deblur_zoo.files.pictures sideways",
        ),
        ("deblur_zoo.losses.new", "import deblur_zoo.metrics.image_quality as m", "sideways"),
        ("deblur_zoo.losses.new", "from ..metrics import identity", "imports deblur_zoo.metrics.identity sideways"),
        ("deblur_zoo.data.new", "def f():\n    from deblur_zoo.zoo import load", "imports deblur_zoo.zoo sideways"),
        ("deblur_zoo.data.new", "from deblur_zoo import load", "imports deblur_zoo.zoo sideways"),
        ("deblur_zoo.data.new", "from deblur_zoo.zoo.presets import CLASSES", "deblur_zoo.zoo.presets sideways"),
        ("trainers.runs.new", "import exporters.verify", "imports exporters.verify upwards"),
        ("trainers.validation.new", "import trainers.distribution.base", "imports trainers.distribution.base sideways"),
        ("trainers.steps.new", "def f():\n    from trainers.runs import run", "imports trainers.runs.run upwards"),
        ("deblur_zoo.serving.client.new", "import deblur_zoo.serving.server.store", "sideways"),
        ("deblur_zoo.models.new", "import deblur_zoo.evaluation.__main__", "upwards"),
        ("deblur_zoo.evaluation.new", "import deblur_zoo.blur.__main__", "upwards"),
        ("deblur_zoo.models.new", "import tensorflow as tf", "imports tensorflow, which is for deblur_zoo.data"),
        ("deblur_zoo.models.new", "class A:\n    def f(self):\n        import scipy.ndimage", "imports scipy"),
        ("trainers.steps.new", "import tensorflow", "imports tensorflow, which is for"),
        ("trainers.steps.tensorflow_step", "import jax", "imports jax, which is for trainers.distribution.jax"),
        ("deblur_zoo.blur.new", "from keras import ops", "imports keras; deblur_zoo.blur imports numpy"),
        ("deblur_zoo.files.pictures", "import cv2", "imports cv2"),
        ("deblur_zoo.zoo.weights", "import pickle", "which is for nobody"),
        ("deblur_zoo.new", "", "has no floor"),
    ],
)
def test_the_rules_catch_a_bad_file(module, source, sentence):
    (found,) = check(module, source)
    assert sentence in found


@pytest.mark.parametrize(
    "module, source",
    [
        (
            "deblur_zoo.models.new",
            "import math\nfrom keras import layers\nfrom deblur_zoo.layers import mirror_padding",
        ),
        ("deblur_zoo.models.new", "from .deblurrer import Deblurrer"),
        ("deblur_zoo.zoo.registry", "from deblur_zoo.zoo.presets import CLASSES"),
        ("trainers.runs.new", "from deblur_zoo import zoo\nimport deblur_zoo\nfrom trainers.steps import engines"),
        ("deblur_zoo.__main__", "from deblur_zoo.restoration.__main__ import main"),
        ("deblur_zoo.blur.noise", "from keras import ops"),
        ("benchmarks.new", "import jax, cv2, torch\nimport trainers"),
    ],
)
def test_the_rules_let_a_good_file_pass(module, source):
    assert check(module, source) == []


def test_circles_are_found():
    graph = {"a": ["b", "keras"], "b": ["c"], "c": ["a"], "d": ["a"], "e": ["e.f"], "e.f": ["e"]}
    assert rules.circles(graph) == [["a", "b", "c"], ["e", "e.f"]]
    assert rules.circles({"a": ["b"], "b": ["c"], "c": []}) == []


def test_the_reach_of_an_import_is_followed():
    graph = {"a": ["b.c"], "b.c": ["d"], "b": ["keras"], "e": ["keras.ops"], "d": ["a"]}
    assert rules.reached_at_start("a", graph) == {"a", "b", "b.c", "d", "keras"}
    assert rules.reached_at_start("e", graph) == {"e", "keras", "keras.ops"}
    source = "import a\nif a: import b\ndef f(): import c\nclass D:\n    import d\n    def g(self): import e"
    assert [name for name, at_start in rules.imports(source, "m", {}) if at_start] == ["a", "b", "d"]


def test_importing_the_library_is_quick_and_light():
    """Processor time, so that a busy machine does not fail it."""
    code = (
        "import time, sys; before = set(sys.modules); start = time.process_time(); import deblur_zoo; "
        "seconds = time.process_time() - start; "
        "print(seconds, *sorted({name.split('.')[0] for name in set(sys.modules) - before})); "
        "deblur_zoo.list_models(); print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    first, second = result.stdout.splitlines()
    seconds, *loaded = first.split()
    assert float(seconds) < 0.5
    assert not set(loaded) & {"keras", "tensorflow", "jax", "cv2", "PIL", "h5py", "numpy", "mtcnn"}
    assert not set(second.split()) & rules.HEAVY
