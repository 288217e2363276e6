"""What is written of a restored photo: the result, and what is to lie beside it."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.faces.detection import as_rgb
from deblur_zoo.faces.warp import align
from deblur_zoo.files import pictures
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.restoration.photo import PhotoFace, RestoredPhoto

_RESTORED, _LEFT_ALONE = (64, 220, 64), (255, 200, 0)
# Sides of the face crops that are saved.
_SMALLEST_CROP, _LARGEST_CROP = 64, 1024


@dataclass(frozen=True)
class Outputs:
    """What is written of each photo beside its result ``NAME.ENDING``.

    Attributes:
        quality: 1 to 100, of JPEG and WebP; unless given, JPEG has 95 and WebP is lossless.
        compare: ``NAME_compare.jpg``, the photo and the result side by side.
        boxes: ``NAME_boxes.jpg``, the result with numbered boxes, green for restored faces, yellow for others.
        crops: ``NAME_face_1.png`` and so on, the aligned faces of the result.
        report: a file to which a line of JSON is appended for each photo.
        overwrite: replace such files that are there; they are kept otherwise.

    Raises:
        ValueError: a quality out of range, or a folder as the report.
    """

    quality: int | None = None
    compare: bool = False
    boxes: bool = False
    crops: bool = False
    report: StrPath | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be between 1 and 100, not {self.quality!r}.")
        if self.report is not None and os.path.isdir(self.report):
            raise ValueError(f"The report needs the name of a file; {self.report} is a folder.")

    def write(self, result: RestoredPhoto, photo: Path, target: Path) -> None:
        """Write a result and the files beside it. The result comes last, so an existing result is complete.

        A photo in which nothing changed is copied.

        Args:
            result: the restored photo.
            photo: path of the photo, for the report.
            target: path of the result; its folder is made if it is not there.

        Raises:
            ValueError, OSError: as ``RestoredPhoto.save``.
        """
        start = time.perf_counter()
        target.parent.mkdir(parents=True, exist_ok=True)
        for name, pixels in self._beside(result):
            path = target.with_name(f"{target.stem}_{name}")
            if self.overwrite or not os.path.lexists(path):
                pictures.write(path, pixels)
        if self.quality is None and photo.suffix == target.suffix and _unchanged(result):
            # Another encoding would lose a little.
            with atomic_path(target) as temporary:
                temporary.write_bytes(pictures.read_bytes(photo))
        else:
            result.save(target, self.quality)
        result.seconds["writing"] = time.perf_counter() - start
        self.tell({"photo": str(photo), "result": str(target), **described(result)})

    def tell(self, line: dict) -> None:
        """Append a line to the report, if there is one."""
        if self.report is not None:
            Path(self.report).parent.mkdir(parents=True, exist_ok=True)
            with open(self.report, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _beside(self, result):
        shown = as_rgb(pictures.to_uint8(result.pixels)) if self.compare or self.boxes or self.crops else None
        if self.compare and result.source is not None:
            before = result.source.rebuild_levels(result.source.levels())
            yield "compare.jpg", np.concatenate([as_rgb(pictures.to_uint8(before)), shown], axis=1)
        if self.boxes:
            yield "boxes.jpg", with_boxes(shown, result.faces)
        if self.crops:
            for number, face in enumerate(result.faces, 1):
                side = int(np.clip(round(face.size), _SMALLEST_CROP, _LARGEST_CROP))
                yield f"face_{number}.png", align(shown, face.points, side)[0]


def _unchanged(result):
    source = result.source
    return source is not None and np.array_equal(result.pixels, source.rebuild_levels(source.levels()))


def described(result: RestoredPhoto) -> dict:
    """A restored photo as what JSON holds: size, faces in pixels of the upright photo, seconds of each stage."""
    return {
        "width": result.pixels.shape[1],
        "height": result.pixels.shape[0],
        "faces": [
            {
                "box": np.round(face.box, 1).tolist(),
                "points": np.round(face.points, 1).tolist(),
                "confidence": round(face.confidence, 4),
                "size": round(face.size, 1),
                "working_size": face.working_size,
                "sharpness": round(face.sharpness, 2),
                "blur": round(face.blur, 2),
                "restored": face.restored,
            }
            for face in result.faces
        ],
        "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
    }


def with_boxes(pixels: Array, faces: list[PhotoFace]) -> Array:
    """A copy of a picture, uint8 (H, W, 3), with the faces' boxes, numbers and points drawn."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    width = max(1, round(max(image.size) / 400))
    font = ImageFont.load_default(size=max(12, 8 * width))
    for number, face in enumerate(faces, 1):
        colour = _RESTORED if face.restored else _LEFT_ALONE
        left, top, right, bottom = face.box
        draw.rectangle((left, top, right, bottom), outline=colour, width=width)
        draw.text((left, top - width), str(number), fill=colour, font=font, anchor="lb", stroke_width=1, stroke_fill=0)
        for x, y in face.points:
            draw.ellipse((x - width, y - width, x + width, y + width), fill=colour)
    return np.asarray(image)
