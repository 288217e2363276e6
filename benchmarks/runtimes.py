"""What ``.deblur()`` costs beside the same network run in other ways, as ratios.

    python -m benchmarks.runtimes --presets one_step_lite,umsn_lite

For each preset and batch size, in one process and float32: ``model.deblur`` of uint8 faces; a bare ``tf.function``
traced for this very shape, of float faces; and the exported TFLite and ONNX files, run as ``deblur_zoo.load`` runs
them, of float faces. LiteRT takes one face at a time. ``.deblur()`` is timed in turn with each of the others, so that
other work on the machine hits both alike. A ratio is the median over the pairs, with the quartiles.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from deblur_zoo import zoo
from deblur_zoo.exported import onnx_file, tflite_file
from deblur_zoo.files import command_line_tools
from exporters import onnx_conversion, tflite_conversion

FLAGS = flags.FLAGS
flags.DEFINE_list("presets", None, "presets to time; default: all with weights")
flags.DEFINE_list("batch_sizes", ["1", "16"], "faces per call")
flags.DEFINE_integer("rounds", 15, "pairs of timing", lower_bound=3)
flags.DEFINE_integer("crop_size", 128, "side of the faces in pixels", lower_bound=16)

DEBLUR = ".deblur()"


def exported_ways(model, size, folder):
    """Functions of float32 faces that run the exported files, by name."""
    with tflite_conversion.saved_for_one_size(model, size, size) as saved:
        (folder / "model.tflite").write_bytes(tflite_conversion.convert(saved, "float32"))
    onnx_conversion.write(model, folder / "model.onnx", {"preset": model.name, "kind": model.kind})
    return {
        "LiteRT": tflite_file.open_runner(folder / "model.tflite"),
        "ONNX Runtime": onnx_file.open_runner(folder / "model.onnx"),
    }


def ways_to_run(model, exported, faces):
    """Functions without arguments that restore the faces, by name."""
    graph = tf.function(lambda images: model(images, training=False))
    floats = faces.astype(np.float32) / 255
    return {
        DEBLUR: lambda: model.deblur(faces),
        "tf.function": lambda: graph(floats).numpy(),
        **{name: lambda run=run: run(floats) for name, run in exported.items()},
    }


def time_in_pairs(ours, other, rounds):
    """Seconds of two functions, (rounds, 2); each is first in every second round, and two rounds do not count."""
    ways, times = (ours, other), np.zeros((rounds + 2, 2))
    for turn in range(len(times)):
        for way in (turn % 2, 1 - turn % 2):
            start = time.perf_counter()
            ways[way]()
            times[turn, way] = time.perf_counter() - start
    return times[2:]


def benchmark(arguments):
    """Time and print. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    print(f"| preset | batch | {DEBLUR}, ms a face | by tf.function | by LiteRT | by ONNX Runtime |")
    print("|---|---|---|---|---|---|")
    random = np.random.default_rng(0)
    for name in FLAGS.presets or zoo.list_models(kind="deblurrer", trained=True):
        model = zoo.load(name, kind="deblurrer")
        with tempfile.TemporaryDirectory(prefix="deblur_zoo_") as folder:
            exported = exported_ways(model, FLAGS.crop_size, Path(folder))
            for count in map(int, FLAGS.batch_sizes):
                faces = random.integers(0, 256, (count, FLAGS.crop_size, FLAGS.crop_size, 3), dtype=np.uint8)
                ways = ways_to_run(model, exported, faces)
                ours = ways.pop(DEBLUR)
                times = [time_in_pairs(ours, other, FLAGS.rounds) for other in ways.values()]
                cells = [name, count, f"{1000 * np.median(times[0][:, 0]) / count:.1f}"]
                for pairs in times:
                    low, middle, high = np.quantile(pairs[:, 0] / pairs[:, 1], (0.25, 0.5, 0.75))
                    cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
    return 0


def main():
    command_line_tools.run(benchmark, "benchmarks.runtimes")


if __name__ == "__main__":
    main()
