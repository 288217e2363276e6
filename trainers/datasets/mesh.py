"""468 points on a face, from a face-mesh network in a TFLite file that the caller supplies.

The network (Kartynnik et al. 2019, "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs"; its
published file is ``face_mesh_468.tflite`` or a copy of it) takes 192x192 RGB in [0, 1] with one upright face, and
outputs 468 points (x, y, depth) in pixels of that input and the logit of a face being present.
"""

import os
from pathlib import Path

import cv2
import numpy as np

from deblur_zoo.faces.alignment import CROP_SIZE

POINTS = 468
INPUT_SIZE = 192
# Side of the square around the crop's centre that the network sees, as a share of the canonical crop's size;
# docs/parsing.md explains the choice.
REGION = 1.1


class FaceMesh:
    """Points on the faces of canonical crops.

    Args:
        path: the TFLite file.
        region: as ``REGION``.
        threads: of the interpreter.
        interpreter: an object with the methods of a TFLite interpreter, to use instead of opening ``path``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not a TFLite file, or a network with other inputs and outputs.
        ModuleNotFoundError: no interpreter is installed.
    """

    def __init__(self, path, region=REGION, threads=1, interpreter=None):
        if not region > 0:
            raise ValueError(f"the region must be a share of the crop's size above 0, got {region}")
        self.region = region
        self._interpreter = interpreter or _open(path, threads)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        sizes = {int(np.prod(output["shape"])): output["index"] for output in outputs}
        shapes = [tuple(map(int, entry["shape"])) for entry in (*inputs, *outputs)]
        if len(inputs) != 1 or shapes[0] != (1, INPUT_SIZE, INPUT_SIZE, 3) or not {1, 3 * POINTS} <= set(sizes):
            raise ValueError(
                f"{path} is not a face mesh: it must have an input of 1x{INPUT_SIZE}x{INPUT_SIZE}x3 and outputs of "
                f"{3 * POINTS} numbers and of 1, but has {shapes}"
            )
        self._input, self._points, self._score = inputs[0]["index"], sizes[3 * POINTS], sizes[1]

    def __call__(self, crops, size=CROP_SIZE):
        """Find the points.

        Args:
            crops: uint8 (N, S, S, 3), RGB, canonical crops of ``size`` with an equal margin on every side. Beyond a
                crop the network sees its edge, repeated.
            size: side of the canonical crop without its margin, in pixels; S - size is even.

        Returns:
            points: float32 (N, 468, 2) of (x, y) in pixels of the crop; pixel centres have integer coordinates.
            scores: float32 (N,) in [0, 1], the network's probability of a face.

        Raises:
            ValueError: unsupported shapes or dtypes.
        """
        crops = np.asarray(crops)
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
            raise ValueError(f"crops must be uint8 (N, S, S, 3), got {crops.dtype} of shape {crops.shape}")
        side = crops.shape[1]
        if not 1 <= size <= side or (side - size) % 2:
            raise ValueError(
                f"crops of {side} pixels are not canonical ones of {size} pixels with an equal margin on every side"
            )
        scale = INPUT_SIZE / (self.region * size)
        shift = (INPUT_SIZE - 1) / 2 - scale * (side - 1) / 2
        matrix = np.array([[scale, 0, shift], [0, scale, shift]])
        points = np.zeros((len(crops), POINTS, 2), np.float32)
        scores = np.zeros(len(crops), np.float32)
        for number, crop in enumerate(crops):
            # Crops up to 170 pixels are upscaled; larger ones are smoothed to avoid aliasing.
            if scale < 1:
                crop = cv2.GaussianBlur(crop, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1))
            seen = cv2.warpAffine(
                crop, matrix, (INPUT_SIZE, INPUT_SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            self._interpreter.set_tensor(self._input, seen[None].astype(np.float32) / 255)
            self._interpreter.invoke()
            found = np.asarray(self._interpreter.get_tensor(self._points)).reshape(POINTS, 3)
            points[number] = (found[:, :2] - shift) / scale
            logit = float(np.asarray(self._interpreter.get_tensor(self._score)).reshape(()))
            scores[number] = 1 / (1 + np.exp(-np.clip(logit, -60, 60)))
        return points, scores


def _open(path, threads):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"face-mesh file {path} does not exist")
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the face mesh needs the package ai-edge-litert: pip install 'deblur_zoo[mesh]'", name="ai_edge_litert"
        ) from None
    try:
        opened = Interpreter(model_path=os.fspath(path), num_threads=threads)
        opened.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a usable TFLite file ({error})") from None
    return opened
