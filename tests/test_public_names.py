"""The public names: what the stubs list is there, is listed, and is imported no sooner than it is used."""

import ast
import importlib
import inspect
import json
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import deblur_zoo

ROOT = Path(__file__).parent.parent
STUBS = {
    ".".join(path.relative_to(ROOT).parent.parts): path for path in sorted((ROOT / "deblur_zoo").rglob("__init__.pyi"))
}


def listed(stub):
    found = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom)]
    return sorted(alias.asname for node in found for alias in node.names)


def in_a_process(code):
    return json.loads(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True))


def test_the_stubs_were_found():
    assert {"deblur_zoo", "deblur_zoo.models", "deblur_zoo.serving.client"} <= set(STUBS)
    assert {"load", "Restorer", "Deblurrer", "faces"} <= set(listed(STUBS["deblur_zoo"]))


@pytest.mark.parametrize("package", STUBS)
def test_every_name_is_there_and_in_tab_completion(package):
    module = importlib.import_module(package)
    names = listed(STUBS[package])
    assert sorted(set(dir(module)) - {"__version__"}) == sorted(set(module.__all__) - {"__version__"}) == names
    for name in names:
        assert getattr(module, name).__name__.rpartition(".")[2] == name


@pytest.mark.parametrize("package", STUBS)
def test_an_unknown_name(package):
    with pytest.raises(AttributeError, match=f"{package}.* lod"):
        assert importlib.import_module(package).lod


def test_a_single_import_reaches_everything():
    code = """
import json, sys
import deblur_zoo as z
light = [name for name in ("keras", "tensorflow", "numpy", "cv2") if name in sys.modules]
dir(z), z.faces, z.metrics, z.losses, z.models, z.zoo, z.list_models("*")
still_light = [name for name in ("keras", "tensorflow", "cv2") if name in sys.modules]
used = [z.metrics.psnr, z.metrics.image_quality.ssim, z.losses.content.l1, z.models.OneStep, z.faces.align,
        z.blur.kernels.line_kernel, z.serving.client.Client, z.exported.ExportedDeblurrer, z.video.tracking.Track]
print(json.dumps([light, still_light, [f"{one.__module__}.{one.__qualname__}" for one in used]]))
"""
    light, still_light, used = in_a_process(code)
    assert light == still_light == []
    assert used == [
        "deblur_zoo.metrics.image_quality.psnr",
        "deblur_zoo.metrics.image_quality.ssim",
        "deblur_zoo.losses.content.l1",
        "deblur_zoo.models.one_step.OneStep",
        "deblur_zoo.faces.warp.align",
        "deblur_zoo.blur.kernels.line_kernel",
        "deblur_zoo.serving.client.client.Client",
        "deblur_zoo.exported.ExportedDeblurrer",
        "deblur_zoo.video.tracking.Track",
    ]


def test_help_shows_the_functions_and_classes():
    text = pydoc.plain(pydoc.render_doc(deblur_zoo))
    for part in ("    load(", "    list_models(", "    describe(", "class Restorer(", "class Deblurrer(", "Args:"):
        assert part in text


def functions(value):
    """A function, or the public methods of a class and those that Python calls, by name."""
    if inspect.isfunction(value):
        return {value.__qualname__: value}
    found = vars(value).items() if inspect.isclass(value) else ()
    found = [(name, getattr(method, "__func__", getattr(method, "fget", method))) for name, method in found]
    return {
        f"{value.__name__}.{name}": method
        for name, method in found
        if inspect.isfunction(method)
        and method.__module__ == value.__module__
        and (not name.startswith("_") or name in ("__init__", "__call__", "__enter__"))
    }


@pytest.mark.parametrize("package", STUBS)
def test_what_is_public_has_types(package):
    module = importlib.import_module(package)
    untyped = []
    for name in listed(STUBS[package]):
        for function_name, function in functions(getattr(module, name)).items():
            signature = inspect.signature(function)
            parameters = list(signature.parameters.values())
            parameters = parameters[1:] if "." in function_name else parameters
            untyped += [f"{function_name}({p})" for p in parameters if p.annotation is p.empty]
            untyped += [f"{function_name} ->"] if signature.return_annotation is signature.empty else []
    assert untyped == []
