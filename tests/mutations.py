"""Altered copies of files, read in a process of their own: what they raise, or whether they end the process.

    python mutations.py MODEL FIRST COUNT FORMAT=SOURCE ...

reads COUNT altered copies of each file, or of a folder with one altered file, of which FIRST and the following numbers
are the seeds. Prints a JSON object: for each format how many were "refused" with ValueError and "accepted", and the
"faults", [seed, what]. Every seed is also written to standard error before it is tried. MODEL is a preset's folder with
the weights that weight files are for.
"""

import contextlib
import json
import random
import resource
import shutil
import sys
import tempfile
from pathlib import Path

LARGEST_MEMORY = 6 << 30


def mutated(data, seed):
    """Bytes with one to three changes: bits, overwritten or zeroed runs, pieces left out or doubled, an early end."""
    generator, data = random.Random(seed), bytearray(data)
    for _ in range(generator.randint(1, 3)):
        start = generator.randrange(len(data) or 1)
        end = start + generator.choice((1, 2, 4, 8, 64, 1000))
        kind = generator.randrange(6)
        if kind == 0 and data:
            data[start] ^= 1 << generator.randrange(8)
        elif kind == 1:
            data[start:end] = generator.randbytes(len(data[start:end]))
        elif kind == 2:
            data[start:end] = bytes([generator.choice((0, 255))]) * len(data[start:end])
        elif kind == 3:
            del data[start:end]
        elif kind == 4:
            data[start:start] = data[start:end]
        elif generator.random() < 0.3:
            del data[start:]
    return bytes(data)


def readers(preset):
    """Dict of a format to a function that reads a path and returns pictures, or None where it gives none."""
    import numpy as np

    from deblur_zoo import exported, zoo
    from deblur_zoo.files.archives import unpack
    from deblur_zoo.zoo import golden, presets, registry, weights
    from deblur_zoo.zoo.keras_file import load_keras_file

    images = np.random.default_rng(0).random((1, 16, 16, 3), dtype=np.float32)

    def restore(path):
        return exported.open_exported(path)(images)

    def read_archive(path):
        with tempfile.TemporaryDirectory() as folder:
            unpack(path, Path(folder, "out"), "archive", 1 << 20)

    def read_weights(path):
        weights.load_weights(model, path)

    def read_preset(path):
        str(zoo.describe(path))

    def read_keras(path):
        return np.asarray(load_keras_file(path)(images))

    def read_index(path):
        registry.hub_folder = lambda: path
        zoo.list_models()

    model = presets.load_preset(preset)
    return {
        "tar.gz": read_archive,
        "zip": read_archive,
        "weights.h5": read_weights,
        "config.json": read_preset,
        "keras": read_keras,
        "index.json": read_index,
        "npz": golden.read,
        "tflite": restore,
        "onnx": restore,
        "saved_model": restore,
    }


def main(preset, first, count, *pairs):
    resource.setrlimit(resource.RLIMIT_DATA, (LARGEST_MEMORY, LARGEST_MEMORY))
    by_format, seeds = readers(preset), range(int(first), int(first) + int(count))
    sources = {form: Path(source) for form, source in (pair.split("=", 1) for pair in pairs)}
    print(json.dumps({form: try_all(by_format[form], source, form, seeds) for form, source in sources.items()}))


def try_all(read, source, form, seeds):
    import numpy as np

    right = read(source)
    result = {"refused": 0, "accepted": 0, "faults": []}
    for seed in seeds:
        print(form, seed, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, source.name)
            file = Path(shutil.copytree(source, path) if source.is_dir() else shutil.copy(source, path))
            if source.is_dir():
                files = sorted(file for file in path.rglob("*") if file.is_file())
                file = files[seed % len(files)]
            file.write_bytes(mutated(file.read_bytes(), seed))
            try:
                # What a reader prints is not part of the result.
                with contextlib.redirect_stdout(sys.stderr):
                    given = read(path)
                result["accepted"] += 1
                if isinstance(right, np.ndarray) and not np.allclose(given, right, atol=1e-5):
                    result["faults"].append([seed, "another picture"])
            except ValueError:
                result["refused"] += 1
            except Exception as error:
                result["faults"].append([seed, repr(error)[:300]])
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
