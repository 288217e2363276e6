"""Deblur a face crop, or a folder of them.

    deblur-zoo blurred.png -o restored.png
    deblur-zoo crops -o restored --preset one_step_lite

A folder's sub-folders and names are kept. Pictures that cannot be read are listed with the reason, and the exit code
is then 1. The faces should be aligned as `python -m deblur_zoo.faces` does it.
"""

import os
import sys
import time
from pathlib import Path

from absl import flags

from deblur_zoo import command_line_tools
from deblur_zoo.command_line_tools import UsageError

FLAGS = flags.FLAGS


def define_flags():
    """Called by ``main`` and not on import, so that other programs may import this module beside their own flags."""
    flags.DEFINE_string("output", None, "file or folder to write; needed", short_name="o")
    flags.DEFINE_string("preset", "one_step_lite", "preset's name, a directory, or a URI")
    flags.DEFINE_integer("batch_size", 16, "pictures that go through the network at once", lower_bound=1)
    flags.DEFINE_bool("overwrite", False, "allow results to replace the pictures that they are made from")


def restore(arguments):
    """Check the arguments, restore, and say what was done. Returns the exit code."""
    if len(arguments) != 1:
        raise UsageError(f"One file or folder to deblur is needed, {len(arguments)} were given; see --help.")
    if not FLAGS.output:
        raise UsageError("Where to write is missing: give -o FILE or -o FOLDER.")
    source, target = Path(arguments[0]), Path(FLAGS.output)
    if not source.exists():
        raise UsageError(f"There is no file or folder {source}.")
    # TensorFlow reports a missing GPU as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    from deblur_zoo import images
    from deblur_zoo.restoration import Restorer, plan_file, plan_folder

    try:
        # Faults of the input are told before Keras is imported, which takes seconds.
        if source.is_dir():
            plan_folder(source, target, FLAGS.overwrite)
        else:
            plan_file(source, target, FLAGS.overwrite)
            images.load(source)
        restorer = Restorer(FLAGS.preset, FLAGS.batch_size)
        start = time.perf_counter()
        if source.is_dir():
            report = _restore_folder(restorer, source, target)
            restored, failed = report.restored, report.failed
        else:
            restored, failed = [restorer.restore_file(source, target, FLAGS.overwrite)], []
    except ValueError as error:
        raise UsageError(str(error)) from error
    seconds = time.perf_counter() - start
    if restored:
        what = str(restored[0]) if source.is_file() else f"{_pictures(len(restored))} in {target}"
        print(f"Restored {what} with {restorer.model.name} in {seconds:.2f} s")
    if failed:
        print(f"{_pictures(len(failed))} could not be restored:", file=sys.stderr)
        for path, reason in failed:
            print(f"  {path}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _restore_folder(restorer, source, target):
    from tqdm import tqdm

    with tqdm(unit="picture", desc="deblurring") as bar:

        def progress(done, total):
            bar.total = total
            bar.update(done - bar.n)

        return restorer.restore_folder(source, target, progress, FLAGS.overwrite)


def _pictures(count):
    return f"{count} picture{'' if count == 1 else 's'}"


def main():
    define_flags()
    command_line_tools.run(restore, "deblur-zoo")


if __name__ == "__main__":
    main()
