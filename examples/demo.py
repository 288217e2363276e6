"""Deblur the example photo with trained weights.

    python -m examples.demo

Writes restored.png and side_by_side.png (blurred, restored, sharp) and prints PSNR before and after and the time.
"""

import time
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image, ImageDraw, ImageFont

from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.restoration.photo import DEFAULT_PRESET
from deblur_zoo.restoration.restorer import Restorer

FLAGS = flags.FLAGS
FOLDER = Path(__file__).parent
SHARP = FOLDER / "astronaut_face.png"
BLURRED = FOLDER / "astronaut_face_blurred.png"
ENLARGEMENT = 3
CAPTION_HEIGHT = 30
GAP = 6


def side_by_side(panels):
    """Images in a row, enlarged, each with a caption.

    Args:
        panels: dict of caption to uint8 (H, W, 3), all of one size.

    Returns:
        uint8 (H', W', 3).
    """
    height, width = (ENLARGEMENT * side for side in next(iter(panels.values())).shape[:2])
    sheet = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + CAPTION_HEIGHT), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=18)
    for index, (caption, pixels) in enumerate(panels.items()):
        left = index * (width + GAP)
        enlarged = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(enlarged, (left, CAPTION_HEIGHT))
        draw.text((left + width // 2, CAPTION_HEIGHT // 2), caption, fill="black", font=font, anchor="mm")
    return np.asarray(sheet)


def psnr(sharp, estimate):
    """PSNR of two uint8 images, in dB."""
    # Import Keras.
    from keras import ops

    from deblur_zoo.metrics import image_quality

    sharp, estimate = (picture[None].astype(np.float32) / 255 for picture in (sharp, estimate))
    return float(ops.convert_to_numpy(image_quality.psnr(sharp, estimate))[0])


def deblur_example(preset, out):
    """Deblur the example with a preset, write the images into the folder ``out``, and print the measurements.

    Returns:
        dict: ``psnr_before``, ``psnr_after`` in dB; ``load_seconds``, ``first_face_seconds``, ``face_seconds``.

    Raises:
        FileNotFoundError, ValueError: as ``deblur_zoo.load``.
    """
    start = time.perf_counter()
    restorer = Restorer(preset, crops=True)
    loaded = time.perf_counter()
    blurred, sharp = pictures.read(BLURRED), pictures.read(SHARP)
    times = []
    for _ in range(6):
        before = time.perf_counter()
        restored = restorer.restore(blurred).pixels
        times.append(time.perf_counter() - before)

    measured = {
        "psnr_before": psnr(sharp, blurred),
        "psnr_after": psnr(sharp, restored),
        "load_seconds": loaded - start,
        "first_face_seconds": times[0],
        "face_seconds": float(np.median(times[1:])),
    }
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    pictures.write(out / "restored.png", restored)
    panels = {
        f"blurred, {measured['psnr_before']:.2f} dB": blurred,
        f"restored, {measured['psnr_after']:.2f} dB": restored,
        "sharp": sharp,
    }
    pictures.write(out / "side_by_side.png", side_by_side(panels))
    print(f"PSNR before      {measured['psnr_before']:.2f} dB")
    print(f"PSNR after       {measured['psnr_after']:.2f} dB with {restorer.model.name}")
    print(f"loading          {measured['load_seconds']:.2f} s (Keras, its backend, the weights)")
    print(f"first face       {measured['first_face_seconds']:.3f} s")
    print(f"further faces    {measured['face_seconds']:.3f} s each")
    print(f"wrote            {out / 'restored.png'} and {out / 'side_by_side.png'}")
    return measured


def demo(arguments):
    if arguments:
        raise UsageError(f"Unexpected argument {arguments[0]!r}: only flags are accepted; see --help.")
    try:
        deblur_example(FLAGS.preset, FLAGS.out)
    except ValueError as error:
        raise UsageError(str(error)) from error


def main():
    flags.DEFINE_string("preset", DEFAULT_PRESET, "name of a preset, its folder or a URI")
    flags.DEFINE_string("out", "demo", "folder to write")
    command_line_tools.run(demo, "examples.demo")


if __name__ == "__main__":
    main()
