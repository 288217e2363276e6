"""Who may import whom: the floors of docs/architecture.md as a table, and a reader of a file's imports."""

import ast
from pathlib import Path

# The floors, from the ground up: folders of the library, and top-level packages with the folders in them. An import
# leads to a lower floor or stays in its folder.
ROWS = (
    ("annotations", "face_classes"),
    ("layers", "losses", "metrics", "files", "execution", "hub_models"),
    ("models", "faces", "blur", "exported"),
    ("video", "features", "zoo", "data"),
    ("evaluation", "restoration"),
    ("demo", "beam"),
    ("trainers.methods",),
    ("trainers.steps",),
    ("trainers.distribution", "trainers.validation"),
    ("trainers.runs",),
    ("trainers", "trainers.publishing", "trainers.datasets"),
    ("serving.protocol",),
    ("serving.client", "serving.server"),
    ("serving",),
    ("exporters",),
    # Every __main__.py, wherever it lies.
    ("command lines",),
    # What nobody imports; `python -m deblur_zoo` is restoration's command line.
    ("deblur_zoo", "__main__", "examples", "benchmarks"),
)
FLOORS = {unit: floor for floor, row in enumerate(ROWS) for unit in row}

# Packages that only these modules may name (prefixes; benchmarks and examples may name anything).
RESTRICTED = {
    "tensorflow": (
        "deblur_zoo.data",
        "deblur_zoo.execution.tensorflow",
        "deblur_zoo.exported",
        "deblur_zoo.serving.server",
        "exporters",
        "trainers.distribution.tensorflow",
        "trainers.steps.tensorflow_step",
    ),
    "jax": ("trainers.distribution.jax", "trainers.steps.jax_step", "deblur_zoo.execution.jax"),
    "cv2": (
        "deblur_zoo.data",
        "deblur_zoo.faces",
        "deblur_zoo.files.sixteen_bits",
        "deblur_zoo.restoration",
        "deblur_zoo.video",
        "trainers.datasets",
    ),
    "mtcnn": ("deblur_zoo.faces",),
    "dlib": ("deblur_zoo.faces",),
    "pickle": (),
    "torch": ("deblur_zoo.execution.torch",),
}
# Modules (prefixes) that name only these packages beside Python's own: what they do runs on every Keras backend.
CONFINED = {
    "deblur_zoo.models": {"keras", "numpy"},
    "deblur_zoo.layers": {"keras", "numpy"},
    "deblur_zoo.losses": {"keras", "numpy"},
    "deblur_zoo.features": {"keras", "numpy"},
    # Reads published weight files, HDF5 and MATLAB's.
    "deblur_zoo.features.weight_files": {"numpy", "h5py", "scipy"},
    "deblur_zoo.exported.onnx_file": {"numpy", "onnxruntime"},
    "deblur_zoo.exported.tflite_file": {"numpy", "ai_edge_litert"},
    "deblur_zoo.execution": {"keras"},
    "deblur_zoo.execution.tensorflow": {"tensorflow"},
    "deblur_zoo.execution.jax": {"jax", "keras", "numpy"},
    "deblur_zoo.execution.torch": {"torch", "keras"},
    "deblur_zoo.metrics": {"keras", "numpy"},
    "deblur_zoo.blur": {"numpy"},
    "deblur_zoo.blur.convolution": {"keras", "numpy"},
    "deblur_zoo.blur.noise": {"keras", "numpy"},
    "deblur_zoo.blur.__main__": {"numpy", "absl", "tqdm"},
    "deblur_zoo.video.frame_averages": {"numpy"},
    "deblur_zoo.video.frame_sequence": {"numpy"},
    "deblur_zoo.video.frame_sum": {"numpy"},
    "deblur_zoo.annotations": {"numpy", "PIL"},
    "deblur_zoo.face_classes": set(),
    "deblur_zoo.files.command_line_tools": {"absl", "rich"},
    "deblur_zoo.files.atomic_file": set(),
    "deblur_zoo.files.checksum": set(),
    "deblur_zoo.files.tensorflow_import": set(),
}
# What takes more than half a second to import: not before flags are checked. OpenCV takes 0.04 s.
HEAVY = {"keras", "tensorflow", "jax", "mtcnn", "dlib"}
# Packages that any module may name.
EVERYWHERE = {"lazy_loader"}
OURS = ("deblur_zoo", "trainers", "exporters", "hub_models", "benchmarks", "examples")


def _lazy_names():
    """Names that `deblur_zoo` resolves on first use, and where they are."""
    stub = ast.parse((Path(__file__).parent.parent / "deblur_zoo" / "__init__.pyi").read_text(encoding="utf-8"))
    found = [node for node in stub.body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: f"deblur_zoo.{node.module}" for node in found for alias in node.names}


LAZY = _lazy_names()


def imports(source, module, modules, is_package=False):
    """Every import of a file: a list of (full dotted name, whether it runs when the file is imported).

    Args:
        source: the file's text.
        module: its dotted name.
        modules: all dotted names of the project, to tell modules from what is in them.
        is_package: the file is an ``__init__.py``.
    """
    found = []

    def visit(node, at_start):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, at_start) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    parts = module.split(".")
                    parts = parts[: len(parts) - child.level + is_package]
                    base = ".".join([*parts, base] if base else parts)
                for alias in child.names:
                    full = LAZY.get(alias.name) if base == "deblur_zoo" else None
                    full = full or f"{base}.{alias.name}"
                    found.append((full if full in modules else base, at_start))
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            # What only type checkers read is imported by none of them.
            inside = inside or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
            visit(child, at_start and not inside)

    visit(ast.parse(source), True)
    return found


def unit(module):
    """The unit that a module belongs to: the longest of ``FLOORS`` that it is or lies in; else its folder or file."""
    name = module.removeprefix("deblur_zoo.")
    return _longest_prefix(name, FLOORS) or name.split(".")[0]


def floor(module):
    """The floor of a module; None where the table has none. A unit's command line stands above all of them."""
    own = FLOORS.get(unit(module))
    return max(FLOORS["command lines"], own or 0) if module.endswith(".__main__") else own


def arrow_violations(module, imported):
    """Sentences about imports that lead up or sideways."""
    if floor(module) is None:
        return [f"{module} has no floor: put it into FLOORS and into docs/architecture.md"]
    sentences = []
    for name in imported:
        if name.split(".")[0] not in OURS or name == "deblur_zoo" or unit(name) == unit(module):
            # `import deblur_zoo` gives the version, and the names that are resolved on first use.
            continue
        if floor(name) is None:
            sentences.append(f"{module} imports {name}, which has no floor")
        elif floor(name) == floor(module):
            sentences.append(f"{module} imports {name} sideways")
        elif floor(name) > floor(module):
            sentences.append(f"{module} imports {name} upwards")
    return sentences


def _longest_prefix(module, prefixes):
    matching = [prefix for prefix in prefixes if module == prefix or module.startswith(prefix + ".")]
    return max(matching, key=len, default=None)


def package_violations(module, imported, standard_library):
    """Sentences about packages that a module may not name."""
    if module.split(".")[0] in ("benchmarks", "examples"):
        return []
    sentences = []
    confined = _longest_prefix(module, CONFINED)
    for name in imported:
        package = name.split(".")[0]
        if package in RESTRICTED and _longest_prefix(module, RESTRICTED[package]) is None:
            allowed = ", ".join(RESTRICTED[package]) or "nobody"
            sentences.append(f"{module} imports {package}, which is for {allowed}")
        elif confined and package not in CONFINED[confined] | set(OURS) | EVERYWHERE | standard_library:
            sentences.append(
                f"{module} imports {package}; {confined} imports {', '.join(CONFINED[confined]) or 'none'}"
            )
    return sentences


def circles(graph):
    """Modules that import each other, through any number of files: a list of sorted lists.

    Args:
        graph: dict of module to the names that it imports; what is no module of it is left out.
    """
    reached = {}
    for module in graph:
        reached[module], waiting = set(), [module]
        while waiting:
            for name in set(graph[waiting.pop()]) & graph.keys() - reached[module]:
                reached[module].add(name)
                waiting.append(name)
    found = {frozenset(other for other in reached[m] if m in reached[other]) for m in graph if m in reached[m]}
    return sorted(sorted(circle) for circle in found)


def reached_at_start(module, graph):
    """Every name that importing a module imports, through any number of files of the project.

    Args:
        module: dotted name.
        graph: dict of module to the names that it imports when it is imported.
    """
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += graph.get(name, ())
        # Importing a.b.c imports a and a.b.
        if "." in name:
            waiting.append(name.rpartition(".")[0])
    return reached
