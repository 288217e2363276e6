"""The flags that say how pairs are made, shared by the command and the Beam pipeline."""

from absl import flags

from deblur_zoo.faces.acceptance import Rules
from trainers.datasets.video_pairs.clip import VARIABLE, Settings, check_settings

FLAGS = flags.FLAGS


def define_flags(module):
    """Define the flags, under the name of the module whose ``--help`` lists them."""
    default = Settings()
    rules = default.rules
    own = {"module_name": module}

    def number(kind, name, value, meaning, low=None, high=None):
        getattr(flags, f"DEFINE_{kind}")(name, value, meaning, low, high, **own)

    def text(name, value, meaning):
        flags.DEFINE_string(name, value, meaning, **own)

    text("videos", None, "folder of videos; sub-folders are searched too")
    text("out", None, "folder for the shards and report.tsv")
    text("average", VARIABLE, "variable: until a stop condition is met; or a fixed odd number of frames, such as 7")
    responses = ["gamma", "identity"]
    flags.DEFINE_enum("response", default.response, responses, "average in linear light, or grey levels", **own)
    interpolation = "fill in frames between the frames by optical flow, so that the blur is continuous"
    flags.DEFINE_bool("interpolate", default.interpolate, interpolation, **own)
    number("integer", "size", default.size, "side of the canonical crop in pixels", 16, 2048)
    number("integer", "margin", default.margin, "pixels added on every side, as room for augmentation", 0, 1024)
    number("integer", "shortest", default.shortest, "fewest frames of a variable average, odd", 3)
    number("integer", "longest", default.longest, "most frames of a variable average, odd", 3, 255)
    number("float", "least_overlap", default.least_overlap, "of a facial part, in first and last frame", 0, 1)
    number("float", "least_quality", default.least_quality, "PSNR in dB of the average against the middle frame", 0)
    number("float", "most_quality", default.most_quality, "above it there is hardly any motion: no pair", 0)
    number("float", "tolerance", default.tolerance, "by how many pixels of a crop of 128 motion may go back", 0)
    number("float", "largest_step", default.largest_step, "most pixels of a crop of 128 that a face moves a frame", 0)
    number("float", "least_sharpness", default.least_sharpness, "of the truth: its fine detail by its coarse detail", 0)
    number("float", "largest_offset", default.largest_offset, "of the mean place from the truth's, in a crop of 128", 0)
    number("float", "most_unevenness", default.most_unevenness, "of the motion: 0.29 is uniform, 0.5 two places", 0, 1)
    number("integer", "most_pairs", None, "of a video, spread evenly over it; default: all", 1)
    flags.DEFINE_bool("reversed_pass", default.reversed_pass, "average in the order of time reversed too", **own)
    number("integer", "step", None, "frames from one fixed average to the next; default: half its length", 1)
    number("integer", "detect_every", default.detect_every, "the face detector looks at every so-manieth frame", 1)
    number("integer", "longest_side", default.longest_side, "larger frames are shrunk to this side", 64, 8192)
    number("float", "minimum_confidence", rules.minimum_confidence, "of the detector, where a track begins", 0, 1)
    number("float", "maximum_residual", rules.maximum_residual, "of the points, as a share of the size", 0)
    number("float", "maximum_enlargement", rules.maximum_enlargement, "how many times a face may be enlarged", 0)
    number("float", "minimum_inside", rules.minimum_inside, "share of the crop that lies inside the frame", 0, 1)


def settings_from_flags():
    """The Settings that the flags say.

    Raises:
        ValueError: flags that do not go together.
    """
    rules = Rules(FLAGS.minimum_confidence, FLAGS.maximum_residual, FLAGS.maximum_enlargement, FLAGS.minimum_inside)
    names = [name for name in Settings().as_dict() if name != "rules"]
    settings = Settings(**{name: FLAGS[name].value for name in names}, rules=rules)
    check_settings(settings)
    return settings
