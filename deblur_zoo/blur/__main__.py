"""Make a bank of random blur kernels (.npz).

    python -m deblur_zoo.blur --kind trajectory --split train --count 20000 --seed 0 --out train.npz
    python -m deblur_zoo.blur --kind trajectory --split test --count 80 --seed 0 --out test.npz
    python -m deblur_zoo.blur --kind gaussian_process --sizes 8-20,21-29:2 --count 5000 --out process.npz

The same flags give the same bank on every machine; train and test banks share no kernels.
"""

from pathlib import Path

from absl import flags
from tqdm import tqdm

from deblur_zoo.blur.kernel_sizes import parse_sizes
from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.files.command_line_tools import UsageError, require_flags, run

FLAGS = flags.FLAGS

flags.DEFINE_string("kind", "trajectory", "motion model: trajectory, gaussian_process, camera or linear")
flags.DEFINE_string("split", "train", "train or test: two independent random streams")
flags.DEFINE_integer("count", 20_000, "number of kernels", lower_bound=1)
flags.DEFINE_string(
    "sizes",
    None,
    "kernel sizes in pixels, used in turn: numbers and ranges with a step, such as 8-20,21-29:2; "
    "default: 8-20 for gaussian_process, 13-27:2 (as in Shen et al. 2020) for the others",
)
flags.DEFINE_integer("seed", 0, "random seed", lower_bound=0)
flags.DEFINE_string("out", None, "file to write, ending in .npz")


def main(arguments):
    require_flags(arguments, "out")
    if Path(FLAGS.out).suffix != ".npz":
        raise UsageError(f"--out must end in .npz, got {FLAGS.out!r}.")
    if not Path(FLAGS.out).absolute().parent.is_dir():
        raise UsageError(f"The folder of --out does not exist: {Path(FLAGS.out).absolute().parent}")

    try:
        sizes = parse_sizes(FLAGS.sizes) if FLAGS.sizes is not None else None
        with tqdm(total=FLAGS.count, unit="kernel", desc=f"{FLAGS.kind} {FLAGS.split}", delay=0.3, disable=None) as bar:
            bank = make_bank(FLAGS.kind, FLAGS.count, sizes, FLAGS.seed, FLAGS.split, bar.update)
    except ValueError as error:
        raise UsageError(error) from error
    bank.save(FLAGS.out)
    print(bank.describe())


if __name__ == "__main__":
    run(main, "deblur_zoo.blur")
