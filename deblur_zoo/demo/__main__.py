"""Deblur the faces in a photo in the browser.

    deblur-zoo-demo
    deblur-zoo-demo --host 0.0.0.0 --port 8080

Opens a page: drop a photo, choose a preset and a strength, compare, download. The page accepts only this machine
unless --host says otherwise; then anyone who reaches the address can use it, without a password. Photos are sent
nowhere else, and removed when the command ends. Needs the extra [demo].
"""

import importlib.util

import PIL
from absl import flags

from deblur_zoo.demo.page import serve
from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.downloads import LOOPBACK
from deblur_zoo.restoration.photo import DEFAULT_PRESET
from deblur_zoo.zoo import list_models

FLAGS = flags.FLAGS


def define_flags():
    """Called by ``main`` and not on import, so that other programs may import this module beside their own flags."""
    flags.DEFINE_string("host", "127.0.0.1", "address to listen on; 0.0.0.0 accepts other machines")
    flags.DEFINE_integer("port", None, "port to listen on; default: the first free one from 7860", 1, 65535)
    flags.DEFINE_string("preset", DEFAULT_PRESET, "trained preset to select at the start")
    flags.DEFINE_integer("max_pixels", pictures.MAXIMUM_PIXELS, "reject larger photos", lower_bound=1)
    flags.DEFINE_bool("browser", True, "open the page in a browser")


def run_demo(arguments):
    """Check the flags and serve until Ctrl-C. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    if importlib.util.find_spec("gradio") is None:
        raise UsageError('The demo needs Gradio: pip install "deblur-zoo[demo]".')
    # Gradio 6 brings Pillow 12, which has known vulnerabilities that a stranger's picture could exploit.
    if FLAGS.host not in LOOPBACK and int(PIL.__version__.split(".")[0]) < 13:
        raise UsageError(
            f"With Pillow {PIL.__version__} the page must stay on this computer; to use --host {FLAGS.host}, "
            'run: pip install "pillow>=13"'
        )
    presets = list_models(kind="deblurrer", trained=True)
    if FLAGS.preset not in presets:
        raise UsageError(f"--preset {FLAGS.preset} is not a trained preset: {', '.join(presets)}.")
    serve(FLAGS.host, FLAGS.port, FLAGS.preset, FLAGS.max_pixels, FLAGS.browser)


def main():
    define_flags()
    command_line_tools.run(run_demo, "deblur-zoo-demo")


if __name__ == "__main__":
    main()
