"""Deblur a face crop, or a folder of them.

    deblur-zoo blurred.png -o restored.png
    deblur-zoo crops -o restored --preset one_step_lite

A folder's sub-folders and names are kept. Pictures that cannot be read or are too large are listed with the reason, and
the exit code is then 1. The faces should be aligned as `python -m deblur_zoo.faces` does it.
"""

import os
import time

from absl import flags

from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.command_line_tools import UsageError, source_and_target

FLAGS = flags.FLAGS


def define_flags():
    """Called by ``main`` and not on import, so that other programs may import this module beside their own flags."""
    flags.DEFINE_string("output", None, "file or folder to write; needed", short_name="o")
    flags.DEFINE_string("preset", "one_step_lite", "preset's name, a directory, or a URI")
    flags.DEFINE_integer("batch_size", 16, "pictures that go through the network at once", lower_bound=1)
    flags.DEFINE_integer("passes", 1, "how many times a picture goes through the network", lower_bound=1)
    flags.DEFINE_integer(
        "max_pixels", pictures.MAXIMUM_RESTORED_PIXELS, "larger pictures are refused; memory grows with the pixels", 1
    )
    flags.DEFINE_bool("overwrite", False, "allow results to replace the pictures that they are made from")


def restore(arguments):
    """Check the arguments, restore, and say what was done. Returns the exit code."""
    source, target = source_and_target(arguments, FLAGS.output)
    # TensorFlow reports a missing GPU as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    from deblur_zoo.restoration.folders import Report, Restorer, plan

    try:
        # Faults of the input are told before Keras is imported, which takes seconds.
        plan(source, target, FLAGS.overwrite, FLAGS.max_pixels)
        restorer = Restorer(FLAGS.preset, FLAGS.batch_size, FLAGS.passes, FLAGS.max_pixels)
        start = time.perf_counter()
        if source.is_dir():
            report = _restore_folder(restorer, source, target)
        else:
            report = Report([restorer.restore_file(source, target, FLAGS.overwrite)])
    except ValueError as error:
        raise UsageError(str(error)) from error
    report.tell(target if source.is_dir() else None, restorer.model.name, time.perf_counter() - start)
    return 1 if report.failed else 0


def _restore_folder(restorer, source, target):
    from tqdm import tqdm

    with tqdm(unit="picture", desc="deblurring") as bar:

        def progress(done, total):
            bar.total = total
            bar.update(done - bar.n)

        return restorer.restore_folder(source, target, progress, FLAGS.overwrite)


def main():
    define_flags()
    command_line_tools.run(restore, "deblur-zoo")


if __name__ == "__main__":
    main()
