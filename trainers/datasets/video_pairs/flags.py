"""The flags for making pairs, shared by the command and the Beam pipeline."""

from absl import flags

from deblur_zoo.faces.acceptance import Rules
from trainers.datasets.video_pairs.clip import VARIABLE, Settings, check_settings

FLAGS = flags.FLAGS


def define_flags(module):
    """Define the flags for the module whose ``--help`` lists them."""
    default = Settings()
    rules = default.rules
    own = {"module_name": module}

    def number(kind, name, value, meaning, low=None, high=None):
        getattr(flags, f"DEFINE_{kind}")(name, value, meaning, low, high, **own)

    def text(name, value, meaning):
        flags.DEFINE_string(name, value, meaning, **own)

    text("videos", None, "folder of videos, searched recursively")
    text("out", None, "folder for the shards and report.tsv")
    text("average", VARIABLE, "variable (until a stop condition is met), or a fixed odd number of frames, such as 7")
    responses = ["gamma", "identity"]
    flags.DEFINE_enum("response", default.response, responses, "average in linear light, or grey levels", **own)
    interpolation = "interpolate frames by optical flow, so that the blur is continuous"
    flags.DEFINE_bool("interpolate", default.interpolate, interpolation, **own)
    number("integer", "size", default.size, "side of the canonical crop in pixels", 16, 2048)
    number("integer", "margin", default.margin, "margin on every side for augmentation, in pixels", 0, 1024)
    number("integer", "shortest", default.shortest, "minimum frames of a variable average, odd", 3)
    number("integer", "longest", default.longest, "maximum frames of a variable average, odd", 3, 255)
    number("float", "least_overlap", default.least_overlap, "minimum overlap of a part in first and last frame", 0, 1)
    number("float", "least_quality", default.least_quality, "minimum PSNR in dB of average and middle frame", 0)
    number("float", "most_quality", default.most_quality, "maximum PSNR in dB: above it there is hardly any motion", 0)
    number("float", "tolerance", default.tolerance, "maximum backward motion, in pixels of a 128-pixel crop", 0)
    number("float", "largest_step", default.largest_step, "maximum motion per frame, in pixels of a 128-pixel crop", 0)
    number("float", "least_sharpness", default.least_sharpness, "minimum fine by coarse detail of the sharp frame", 0)
    number("float", "largest_offset", default.largest_offset, "maximum offset of the motion, in a 128-pixel crop", 0)
    number("float", "most_unevenness", default.most_unevenness, "maximum; 0.29 is uniform, 0.5 two positions", 0, 1)
    number("integer", "most_pairs", None, "maximum per video, spread evenly over it; default: all", 1)
    flags.DEFINE_bool("reversed_pass", default.reversed_pass, "also average backwards in time", **own)
    number("integer", "step", None, "frames from one fixed average to the next; default: half its length", 1)
    number("integer", "detect_every", default.detect_every, "frames from one face detection to the next", 1)
    number("integer", "longest_side", default.longest_side, "downscale larger frames to this side", 64, 8192)
    number("float", "minimum_confidence", rules.minimum_confidence, "of the detector at the start of a track", 0, 1)
    number("float", "maximum_residual", rules.maximum_residual, "of the points, as a share of the size", 0)
    number("float", "maximum_enlargement", rules.maximum_enlargement, "maximum factor of enlarging a face", 0)
    number("float", "minimum_inside", rules.minimum_inside, "minimum share of the crop inside the frame", 0, 1)


def settings_from_flags():
    """The Settings from the flags.

    Raises:
        ValueError: incompatible flags.
    """
    rules = Rules(FLAGS.minimum_confidence, FLAGS.maximum_residual, FLAGS.maximum_enlargement, FLAGS.minimum_inside)
    names = [name for name in Settings().as_dict() if name != "rules"]
    settings = Settings(**{name: FLAGS[name].value for name in names}, rules=rules)
    check_settings(settings)
    return settings
