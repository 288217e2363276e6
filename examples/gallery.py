"""Draw the gallery of the README: a public-domain face, blurred in three ways, and each method's restoration.

    python -m examples.gallery --out docs/gallery.png

The face is scikit-image's astronaut (NASA), the only freely printable portrait among the packages used here; each row
turns, mirrors or lights it differently, and blurs it with another kind of motion.
"""

import os
from dataclasses import dataclass

import numpy as np
from absl import flags
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from deblur_zoo import zoo
from deblur_zoo.blur.kernels import random_kernel
from deblur_zoo.data import host_blur
from deblur_zoo.faces import align
from deblur_zoo.files import command_line_tools
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.files.command_line_tools import UsageError
from examples.demo import psnr
from examples.make_example import POINTS

MARGIN = 32
SIGMA = 0.01
GAP, HEADER_HEIGHT, CAPTION_HEIGHT, LABEL_WIDTH, FONT_SIZE = 4, 18, 16, 80, 11


@dataclass(frozen=True)
class Scene:
    """A face and its blur.

    Attributes:
        title: lines to write beside the row.
        kind, size, seed: of the blur kernel.
        turned: degrees by which the face is rotated.
        mirrored: left and right are swapped.
        light: function of a float image in [0, 1] that changes the lighting.
    """

    title: tuple
    kind: str
    size: int
    seed: int
    turned: float = 0.0
    mirrored: bool = False
    light: object = None


def evening(picture):
    """Darker and warmer."""
    return picture ** np.array([1.4, 1.6, 1.9])


def from_the_left(picture):
    """Light from the left; the right side is in shadow."""
    return picture * np.linspace(1.1, 0.4, picture.shape[1])[:, None]


SCENES = (
    Scene(("linear,", "17 pixels"), "linear", 17, 4),
    Scene(
        ("trajectory,", "23 pixels;", "mirrored,", "evening light"),
        "trajectory", 23, 3, mirrored=True, light=evening,
    ),
    Scene(
        ("gaussian", "process,", "21 pixels;", "turned by 8°,", "light from", "the left"),
        "gaussian_process", 21, 5, turned=8.0, light=from_the_left,
    ),
)  # fmt: skip


def make_pair(scene):
    """Render a scene.

    Returns:
        (sharp, blurred), uint8 (128, 128, 3) each; the same on every machine except for one level where versions of
        OpenCV round differently.
    """
    centre, angle = POINTS.mean(axis=0), np.radians(scene.turned)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # A margin wider than half the kernel, so that the blur moves real pixels across the crop's border.
    face, _ = align(data.astronaut(), (POINTS - centre) @ turn.T + centre, margin=MARGIN)
    if scene.mirrored:
        face = face[:, ::-1]
    picture = face.astype(np.float64) / 255
    picture = np.clip(scene.light(picture) if scene.light else picture, 0, 1)
    generator = np.random.default_rng(scene.seed)
    kernel = random_kernel(scene.kind, scene.size, generator)
    blurred = host_blur.blur(picture[None].astype(np.float32), [kernel])[0]
    blurred = blurred + SIGMA * generator.standard_normal(blurred.shape)
    inside = slice(MARGIN, -MARGIN)
    return tuple(np.rint(255 * np.clip(p, 0, 1)).astype(np.uint8)[inside, inside] for p in (picture, blurred))


def draw(titles, columns, captions):
    """Rows of images under the names of their columns.

    Args:
        titles: for each row, the lines to its left.
        columns: dict of a column's name to its images, uint8 (H, W, 3), one per row.
        captions: dict of a column's name to one text per row, written below the image.

    Returns:
        uint8 (H', W', 3).
    """
    height, width = next(iter(columns.values()))[0].shape[:2]
    down, across = height + CAPTION_HEIGHT + GAP, width + GAP
    size = LABEL_WIDTH + len(columns) * across - GAP, HEADER_HEIGHT + len(titles) * down - GAP
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=FONT_SIZE)
    for row, lines in enumerate(titles):
        pen.text((0, HEADER_HEIGHT + row * down), "\n".join(lines), fill="black", font=font)
    for column, (name, pictures) in enumerate(columns.items()):
        left = LABEL_WIDTH + column * across
        pen.text((left + width // 2, HEADER_HEIGHT // 2), name, fill="black", font=font, anchor="mm")
        for row, pixels in enumerate(pictures):
            top = HEADER_HEIGHT + row * down
            sheet.paste(Image.fromarray(pixels), (left, top))
            place = left + width // 2, top + height + CAPTION_HEIGHT // 2
            pen.text(place, captions[name][row], fill="black", font=font, anchor="mm")
    return np.asarray(sheet)


def gallery(presets, scenes=SCENES):
    """The whole gallery.

    Args:
        presets: names or folders of deblurrers with weights.
        scenes: the rows.

    Returns:
        (uint8 (H, W, 3), dict of preset's name to its PSNR in dB on each scene).

    Raises:
        FileNotFoundError, ValueError: as ``deblur_zoo.load``.
    """
    models = [zoo.load(preset, kind="deblurrer") for preset in presets]
    sharp, blurred = zip(*(make_pair(scene) for scene in scenes), strict=True)
    columns = {"blurred": blurred}
    columns |= {model.name: [model.deblur(picture) for picture in blurred] for model in models}
    measured = {
        name: [psnr(truth, picture) for truth, picture in zip(sharp, pictures, strict=True)]
        for name, pictures in columns.items()
    }
    captions = {name: [f"{value:.1f} dB" for value in values] for name, values in measured.items()}
    captions["sharp"] = [""] * len(scenes)
    return draw([scene.title for scene in scenes], {**columns, "sharp": sharp}, captions), measured


def make(arguments):
    """Check the flags, draw and write. Returns the exit code."""
    command_line_tools.require_flags(arguments, "out")
    out, presets = flags.FLAGS.out, flags.FLAGS.presets
    if not out.lower().endswith(".png"):
        raise UsageError(f"--out must end in .png, got {out}")
    if not os.path.isdir(os.path.dirname(os.path.abspath(out))):
        raise UsageError(f"the folder of --out does not exist: {out}")
    trained = zoo.list_models(kind="deblurrer", trained=True)
    try:
        sheet, measured = gallery(presets or [name for name in trained if not name.endswith("_lite")])
    except ValueError as error:
        raise UsageError(str(error)) from None
    picture_files.write(out, sheet)
    for name, values in measured.items():
        print(f"{name:<22}", *(f"{value:.2f} dB" for value in values))
    print(f"wrote {out}, {os.path.getsize(out) / 1024:.0f} KiB")
    return 0


def main():
    flags.DEFINE_string("out", "docs/gallery.png", "image file to write")
    flags.DEFINE_list("presets", [], "presets to show, separated by commas; default: that of each method's name")
    command_line_tools.run(make, "examples.gallery")


if __name__ == "__main__":
    main()
