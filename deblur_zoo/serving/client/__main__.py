"""Deblur face crops or photos, files or folders of them, on a model server.

    deblur-zoo-client blurred.png -o restored.png --server localhost:8501
    deblur-zoo-client crops -o restored --server localhost:8500 --protocol grpc --model one_step_lite
    deblur-zoo-client --photos holiday -o restored --server localhost:8500 --protocol grpc

The server is TensorFlow Serving or deblur-zoo-serve. Crops must be aligned, as `python -m deblur_zoo.faces` does. With
--photos, faces are found, aligned and blended back on this machine, as by `deblur-zoo`, which needs TensorFlow here.

Results keep a folder's sub-folders and names. Those of several inputs go into a folder, as does a single one if -o ends
in "/". Existing results are skipped: run the same command to resume after an interruption. Exit codes: 0; 1 if some
pictures could not be read or the server rejected them, listed with the reason; 2 for invalid arguments.
"""

import sys
import time

from absl import flags
from tqdm import tqdm

from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.atomic_file import ends_a_run
from deblur_zoo.files.command_line_tools import UsageError, sources_and_target
from deblur_zoo.restoration.folders import Report, counted, plan, without_existing
from deblur_zoo.serving.client.client import Client
from deblur_zoo.serving.client.errors import InvalidRequest, ServingError, ServingTimeout

FLAGS = flags.FLAGS


def _define_flags():
    """Called by ``main`` and not on import, so that other programs may import this module beside their own flags."""
    flags.DEFINE_string("output", None, "file or folder to write; required", short_name="o")
    flags.DEFINE_string("server", None, "HOST:PORT; required")
    flags.DEFINE_enum("protocol", "rest", ["rest", "grpc"], "protocol of that port")
    flags.DEFINE_string("model", "one_step_lite", "the model's name on the server")
    flags.DEFINE_integer("model_version", None, "number of a version; default: the newest", lower_bound=0)
    flags.DEFINE_string("version_label", None, "label of a version, instead of its number")
    flags.DEFINE_bool("photos", False, "the inputs are whole photos, not aligned crops")
    flags.DEFINE_integer("in_flight", 8, "crops to send at the same time", lower_bound=1)
    flags.DEFINE_float("timeout", 60, "seconds per crop, or per batch of a photo's, including retries",
                       lower_bound=0.001)  # fmt: skip
    flags.DEFINE_integer("retries", 4, "retries if the server is overloaded or cannot be reached",
                         lower_bound=0)  # fmt: skip
    flags.DEFINE_bool("tls", False, "encrypt, and verify the server's certificate")
    flags.DEFINE_string("ca_file", None, "certificates to trust instead of the system's")
    flags.DEFINE_bool("overwrite", False, "replace existing files, even the pictures themselves")


def run_command(arguments):
    """Check the arguments, restore and report. Returns the exit code."""
    sources, target = sources_and_target(arguments, FLAGS.output)
    if not FLAGS.server:
        raise UsageError("The server is missing: give --server HOST:PORT.")
    if FLAGS.photos and FLAGS["in_flight"].present:
        raise UsageError("--in_flight is for crops: photos are restored one after the other.")

    folder = len(sources) > 1 or sources[0].is_dir()
    try:
        most = pictures.MAXIMUM_PIXELS if FLAGS.photos else pictures.MAXIMUM_RESTORED_PIXELS
        planned = plan(sources, target, FLAGS.overwrite, most)
        jobs, skipped = (planned, []) if FLAGS.overwrite else without_existing(planned)
        if skipped and not folder:
            raise UsageError(f"{skipped[0]} exists already: give another name, or --overwrite.")
        client = Client(
            FLAGS.server,
            FLAGS.model,
            FLAGS.protocol,
            version=FLAGS.model_version,
            version_label=FLAGS.version_label,
            timeout=FLAGS.timeout,
            retries=FLAGS.retries,
            tls=FLAGS.tls,
            ca_file=FLAGS.ca_file,
        )
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error
    with client:
        try:
            # Before anything is written: is there a server, and does it have the model?
            versions = client.status()
        except ServingError as error:
            raise UsageError(str(error)) from error
        if not any(entry.state == "AVAILABLE" for entry in versions):
            states = ", ".join(f"version {entry.version} {entry.state}" for entry in versions) or "it has no version"
            raise UsageError(f"{FLAGS.model} at {FLAGS.server} is not available: {states}.")
        start = time.perf_counter()
        report, stopped = _restore_all(client, jobs)
    report.skipped = skipped
    report.tell(target if folder else None, f"{FLAGS.model} at {FLAGS.server}", time.perf_counter() - start)
    if stopped is not None:
        rest = len(jobs) - len(report.restored) - len(report.failed)
        print(f"deblur-zoo-client: stopped with {counted(rest)} left: {stopped}", file=sys.stderr)
    return 1 if report.failed or stopped is not None else 0


def _restore_all(client, jobs):
    """Restore and write; (``Report``, the error that ended it or None)."""
    report, timeouts = Report(), 0
    if FLAGS.photos:
        results = _restored_photos(client, jobs, report)
    else:
        results = client.deblur_files(jobs.items(), FLAGS.in_flight)
    with tqdm(total=len(jobs), unit="picture", desc="deblurring", disable=None) as bar:
        for path, result in zip(jobs, results, strict=True):
            timeouts = timeouts + 1 if isinstance(result, ServingTimeout) else 0
            # One timeout is the picture's fault, many in a row are the server's: waiting for the rest would take days.
            of_server = isinstance(result, ServingError) and not isinstance(result, (InvalidRequest, ServingTimeout))
            if of_server or timeouts > FLAGS.in_flight:
                return report, result
            if isinstance(result, OSError) and ends_a_run(result, path):
                raise result
            if isinstance(result, Exception):
                report.failed.append((path, str(result)))
            else:
                report.restored.append(result)
            bar.update()
    return report, None


def _restored_photos(client, jobs, report):
    """As ``client.deblur_files``, for photos; counts their faces in the report."""
    from deblur_zoo.restoration.outputs import Outputs
    from deblur_zoo.restoration.restorer import Restorer

    restorer, outputs = Restorer(client), Outputs()
    for path, target in jobs.items():
        try:
            result = restorer.restore(path)
            outputs.write(result, path, target)
        # Detection has errors of its own.
        except Exception as error:
            yield error
        else:
            report.faces[target] = len(result.faces)
            yield target


def main():
    _define_flags()
    command_line_tools.run(run_command, "deblur-zoo-client")


if __name__ == "__main__":
    main()
