"""The Kotlin and Swift that docs/mobile.md shows: the same numbers as Python.

Both files of arithmetic use so little of their languages that a few replacements make Python of them, which runs here.
With a Kotlin compiler (``kotlinc`` on the path, or in the variable KOTLINC) the Kotlin is compiled and run too.
"""

import math
import os
import re
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from deblur_zoo.faces import align
from deblur_zoo.faces.alignment import canonical_points, similarity_transform
from deblur_zoo.restoration.blending import add_correction

EXAMPLES = Path(__file__).parents[2] / "examples"
KOTLIN, SWIFT = EXAMPLES / "android" / "FaceGeometry.kt", EXAMPLES / "ios" / "FaceGeometry.swift"
STUBS = sorted(Path(__file__).parent.glob("android_stubs*.kt"))
SIDE = 24
# In pixels of a photo of 60x50: a face turned by some degrees, about 1.6 times the crop's size, or 0.6 times.
LARGE = np.array([[22.0, 16.0], [33.5, 18.0], [26.5, 25.5], [21.0, 27.0], [30.5, 29.0]])
SMALL = np.array([[26.0, 17.0], [30.2, 17.7], [28.0, 20.5], [25.9, 21.3], [29.4, 21.9]])
REPLACEMENTS = [
    # Comments, types, headers.
    (r"/\*\*(.*?)\*/", r"#\1"),
    (r"//+", "#"),
    (r"(?m)^(import|package) .*$", ""),
    (r"(?s)(struct|class) Similarity.*?\n\}", ""),
    (r"\b(val|let|var) (\w+)(: \[Double\])? = ", r"\2 = "),
    (r"result = photo(\.copyOf\(\))?\n", "result = list(photo)\n"),
    (r"doubleArrayOf\((.*)\)", r"[\1]"),
    (r"FloatArray\((side.*)\)", r"[0.0] * (\1)"),
    (r"\[Float\]\(repeating: 0, count: (.*)\)", r"[0.0] * (\1)"),
    (r"(?s)fun[c]? (\w+)\(([^{]*?)\)(: | -> )[^{]*? \{", lambda m: f"def {m[1]}({_names(m[2])}):"),
    # Control flow.
    (r"for \((\w+) in (.*?) until (.*?)\) \{", r"for \1 in range(\2, \3):"),
    (r"for (\w+) in (.*?)\.\.<(.*?) \{", r"for \1 in range(\2, \3):"),
    (r"if (.*?) \{", r"if \1:"),
    (r"(?m)^ *\}$", ""),
    # Conversions: Python's division gives fractions, its floor and ceil whole numbers.
    (r"\.to(Double|Float|Int)\(\)", ""),
    (r"\b(Double|Float)\(", "float("),
    (r"\bInt\(", "int("),
    (r"\b(a|b|tx|ty): ", r"\1="),
]


def _names(parameters):
    return ", ".join(re.findall(r"(\w+):", parameters))


class Similarity(namedtuple("Similarity", "a b tx ty")):
    @property
    def scale(self):
        return math.hypot(self.a, self.b)


def in_python(path):
    """The functions of a file of Kotlin or Swift."""
    text = path.read_text(encoding="utf-8")
    for pattern, new in REPLACEMENTS:
        text = re.sub(pattern, new, text)
    functions = {name: getattr(math, name) for name in ("cbrt", "ceil", "floor", "hypot")}
    functions |= {"Similarity": Similarity}
    exec(compile(text, str(path), "exec"), functions)
    return functions


@pytest.fixture(scope="module", params=[KOTLIN, SWIFT], ids=["kotlin", "swift"])
def phone(request):
    return in_python(request.param)


@pytest.fixture(scope="module")
def photo():
    """float32 (50, 60, 3) of 8 bits, smooth."""
    y, x = np.mgrid[:50, :60]
    waves = [np.sin(x / 5 + channel) * np.cos(y / (6 + channel)) for channel in range(3)]
    return np.rint(127.5 + 110 * np.stack(waves, axis=-1)).astype(np.uint8)


def in_crop(toCrop):
    return np.array([[toCrop.a, -toCrop.b, toCrop.tx], [toCrop.b, toCrop.a, toCrop.ty]])


def floats(picture):
    return (picture / 255.0).ravel().tolist()


@pytest.mark.parametrize("points", [LARGE, SMALL])
def test_five_points_give_the_matrix_of_python(phone, points):
    found = phone["photoToCrop"](points.ravel().tolist(), SIDE)
    expected = similarity_transform(points, canonical_points(SIDE))
    np.testing.assert_allclose(in_crop(found), expected, atol=1e-9)
    back = phone["inverse"](found)
    there = points @ expected[:, :2].T + expected[:, 2]
    np.testing.assert_allclose(there @ in_crop(back)[:, :2].T + in_crop(back)[:, 2], points, atol=1e-9)


@pytest.mark.parametrize("points", [LARGE, SMALL])
def test_the_crop_is_that_of_python(phone, photo, points):
    toCrop = phone["photoToCrop"](points.ravel().tolist(), SIDE)
    found = 255 * np.reshape(phone["align"](floats(photo), 60, 50, toCrop, SIDE), (SIDE, SIDE, 3))
    expected, _ = align(photo, points, SIDE)
    # Bytes are rounded, OpenCV rounds positions to 1/32 pixel, and a face that shrinks is averaged by another kernel.
    assert np.abs(found - expected).mean() < 1 and np.abs(found - expected).max() < 6
    assert expected.std() > 40


@pytest.mark.parametrize("points", [LARGE, SMALL])
def test_pasting_back_is_that_of_python(phone, photo, points):
    toCrop = phone["photoToCrop"](points.ravel().tolist(), SIDE)
    crop, matrix = align(photo, points, SIDE)
    y, x = np.mgrid[:SIDE, :SIDE]
    change = 0.3 * np.stack([np.sin(x / 4), np.cos(y / 4), np.sin((x + y) / 6)], axis=-1)
    restored = crop / 255.0 + change
    flat = phone["pasteBack"](floats(photo), 60, 50, floats(crop), restored.ravel().tolist(), toCrop, SIDE)
    found = 255 * np.reshape(flat, photo.shape)
    expected = photo.copy()
    add_correction(expected, photo, change.astype(np.float32), matrix)
    changed = (expected != photo).any(axis=-1)
    assert np.abs(found - expected)[changed].mean() < 1 and np.abs(found - expected).max() < 6
    assert changed.sum() > 50 and np.abs(expected.astype(float) - photo)[changed].mean() > 5
    np.testing.assert_allclose(found[0, 0], photo[0, 0], atol=1e-4)


MAIN = """
import org.deblurzoo.*

fun main() {
    val points = readln().split(" ").map { it.toDouble() }.toDoubleArray()
    val photo = readln().split(" ").map { it.toFloat() }.toFloatArray()
    val toCrop = photoToCrop(points, 24)
    println(listOf(toCrop.a, toCrop.b, toCrop.tx, toCrop.ty).joinToString(" "))
    val crop = align(photo, 60, 50, toCrop, 24)
    println(crop.joinToString(" "))
    println(pasteBack(photo, 60, 50, crop, crop.reversedArray(), toCrop, 24).joinToString(" "))
}
"""


@pytest.mark.slow
def test_compiled_kotlin_gives_the_same_numbers(tmp_path, photo):
    compiler = os.environ.get("KOTLINC") or shutil.which("kotlinc")
    if not compiler or not shutil.which("java"):
        pytest.skip("no Kotlin compiler: npm install kotlin-compiler, KOTLINC=node_modules/kotlin-compiler/bin/kotlinc")
    main, jar = tmp_path / "Main.kt", tmp_path / "main.jar"
    main.write_text(MAIN)
    sources = [str(path) for path in (*sorted(KOTLIN.parent.glob("*.kt")), *STUBS, main)]
    done = subprocess.run(
        ["bash", compiler, *sources, "-include-runtime", "-d", str(jar)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0 and "warning:" not in done.stderr, done.stderr[-3000:]
    given = " ".join(map(str, LARGE.ravel())) + "\n" + " ".join(map(str, floats(photo))) + "\n"
    ran = subprocess.run(
        ["java", "-cp", str(jar), "MainKt"], input=given, capture_output=True, text=True, timeout=300, check=True
    )
    matrix, crop, pasted = (np.array(line.split(), float) for line in ran.stdout.splitlines())
    functions = in_python(KOTLIN)
    toCrop = functions["photoToCrop"](LARGE.ravel().tolist(), SIDE)
    np.testing.assert_allclose(matrix, toCrop, atol=1e-12)
    np.testing.assert_allclose(crop, functions["align"](floats(photo), 60, 50, toCrop, SIDE), atol=1e-5)
    expected = functions["pasteBack"](floats(photo), 60, 50, crop.tolist(), crop[::-1].tolist(), toCrop, SIDE)
    np.testing.assert_allclose(pasted, expected, atol=1e-5)


@pytest.mark.parametrize(
    "language, path", [("kotlin", "android/FaceDeblurrer.kt"), ("swift", "ios/FaceDeblurrer.swift")]
)
def test_the_document_shows_the_files(language, path):
    document = (EXAMPLES.parent / "docs" / "mobile.md").read_text(encoding="utf-8")
    shown = [block for block in re.findall(rf"```{language}\n(.*?)```", document, re.S) if "build.gradle" not in block]
    text = (EXAMPLES / path).read_text(encoding="utf-8")
    assert shown and all(block in text for block in shown)
