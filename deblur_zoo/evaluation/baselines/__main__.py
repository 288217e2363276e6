"""Print the mean PSNR of every candidate for a classical method's constants.

    python -m deblur_zoo.evaluation.baselines --faces crops/train --limit 8
    python -m deblur_zoo.evaluation.baselines --faces crops/train --limit 4 --method krishnan

Every candidate is measured by the protocol `kernel_sizes`. The table marks the best one and the one that is set.
"""

from absl import flags

from deblur_zoo.evaluation.baselines.candidates import candidates
from deblur_zoo.evaluation.baselines.classical import described
from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.methods import CLASSICAL
from deblur_zoo.evaluation.protocol import KernelSizes
from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_string("faces", None, "folder of aligned sharp crops")
flags.DEFINE_integer("limit", 8, "use only the first so many faces, sorted by name", lower_bound=1)
flags.DEFINE_multi_enum(
    "method", ["unsharp_mask", "wiener", "richardson_lucy"], list(CLASSICAL),
    "which to measure; may be given several times. krishnan takes seconds a picture and has 18 candidates",
)  # fmt: skip


def main(arguments):
    command_line_tools.require_flags(arguments, "faces")
    try:
        faces = Faces(FLAGS.faces, FLAGS.limit).faces
        print("| method | constants | mean PSNR, dB | |\n|---|---|---|---|")
        for name in FLAGS.method:
            baseline = CLASSICAL[name]
            found = candidates(baseline, faces, KernelSizes(), progress=True)
            best = max(psnr for _, psnr in found)
            for constants, psnr in found:
                marks = ["best"] * (psnr == best) + ["set"] * (constants == baseline.constants)
                print(f"| {baseline.title} | {described(constants)} | {psnr:.3f} | {', '.join(marks)} |", flush=True)
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from None


if __name__ == "__main__":
    command_line_tools.run(main, "deblur_zoo.evaluation.baselines")
