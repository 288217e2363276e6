"""Check that a running server, such as TensorFlow Serving, answers as the zoo's models do.

    deblur-zoo-serve --check localhost:8501

``check`` is that command, with a line for each check: the state and metadata, the golden outputs of each preset
(``deblur_zoo.zoo.golden``) through both signatures, and requests that must be rejected.
"""

import secrets
from dataclasses import dataclass

import numpy as np

from deblur_zoo import zoo
from deblur_zoo.exported.saved_model_folder import BYTES_SIGNATURE, FLOAT_SIGNATURE
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.serving.client.answers import INPUTS, TensorInfo
from deblur_zoo.serving.client.client import PROTOCOLS, Client
from deblur_zoo.serving.client.errors import ModelNotFound, ServingError, ServingTimeout, ServingUnavailable
from deblur_zoo.zoo import golden

# An export may differ from its model by 1e-4, more on another processor. Another model differs a hundred times as much.
TOLERANCE = 1e-3
_REACHED_WITHIN = 10
_PICTURES = TensorInfo("DT_FLOAT", (-1, -1, -1, 3))
_FILES = TensorInfo("DT_STRING", (-1,))
# Signature to the type of its input and output, and to its output's name. Over REST, TensorFlow Serving writes bytes as
# base64 only where the output's name ends in _bytes.
_SIGNATURES = {FLOAT_SIGNATURE: (_PICTURES, "restored"), BYTES_SIGNATURE: (_FILES, "restored_bytes")}


@dataclass(frozen=True)
class Result:
    """The outcome of one check.

    Attributes:
        protocol: "rest" or "grpc".
        model: the model's name.
        what: what was checked.
        passed: whether it passed; None: the server does not have that model, which was not asked for.
        detail: the finding.
    """

    protocol: str
    model: str
    what: str
    passed: bool | None
    detail: str

    def __str__(self):
        word = {True: "passed", False: "FAILED", None: "absent"}[self.passed]
        return f"{word}  {self.protocol}  {self.model}  {self.what}: {self.detail}"


def check(target, models=None, protocol=None, golden_file=None, timeout=60.0, tolerance=TOLERANCE):
    """Run all checks and print a line for each.

    Args:
        target: "HOST:PORT", the REST or the gRPC port: both are tried.
        models: names of required models, each also a preset's name unless ``golden_file`` is given; None: each
            preset that has golden outputs and that the server has.
        protocol: "rest" or "grpc"; None: whichever answers.
        golden_file: path of a golden.npz to compare with, for exactly one model.
        timeout: seconds for each request.
        tolerance: largest difference to the golden outputs, where pictures are in [0, 1].

    Returns:
        exit code: 0 if all passed, 1 otherwise.

    Raises:
        UsageError: invalid arguments, or no server at the target.
    """
    passed, failed = 0, []
    for result in results(target, models, protocol, golden_file, timeout, tolerance):
        print(result, flush=True)
        passed += result.passed is True
        if result.passed is False:
            failed.append(f"{result.model} by {result.protocol} ({result.what})")
    if failed:
        print(f"{len(failed)} of {passed + len(failed)} checks failed: {'; '.join(failed)}")
        return 1
    print(f"All {passed} checks passed.")
    return 0


def results(target, models=None, protocol=None, golden_file=None, timeout=60.0, tolerance=TOLERANCE):
    """As ``check``, but a generator of ``Result``. Invalid arguments raise at the first one."""
    wanted = _golden_outputs(models, golden_file)
    name = _spoken(target, protocol)
    served = 0
    for model, outputs in wanted.items():
        with Client(target, model, name, timeout=timeout) as client:
            for result in _of_model(client, name, model, outputs, tolerance, models is not None):
                served += result.passed is not None
                yield result
    if not served and models is None:
        yield Result(name, "any preset", "model", False, f"the server has none of {', '.join(wanted)}; name a model")
    with Client(target, f"no_such_model_{secrets.token_hex(4)}", name, timeout=timeout) as client:
        ask = {"status": client.status, "prediction": lambda client=client: client(np.zeros((1, 8, 8, 3)))}
        for what, question in ask.items():
            yield _refused(name, client.choice.name, f"{what} of an unknown model", question, "NOT_FOUND")


def _golden_outputs(models, golden_file):
    """dict of model to ``golden.Golden``."""
    try:
        if golden_file is not None:
            if models is None or len(models) != 1:
                raise UsageError("golden outputs from a file need the name of exactly one model")
            return {models[0]: golden.read(golden_file)}
        if models is not None:
            return {model: golden.read(model) for model in models}
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(str(error)) from None
    found = {}
    for preset in zoo.list_models():
        try:
            found[preset] = golden.read(preset)
        except FileNotFoundError:
            # Not trained yet, or not a deblurrer.
            continue
    if not found:
        raise UsageError("no preset has golden outputs: give a golden.npz")
    return found


def _spoken(target, protocol):
    """The protocol of the port."""
    if protocol not in (None, *PROTOCOLS):
        raise UsageError(f"the protocol must be {' or '.join(PROTOCOLS)}, got {protocol!r}")
    reasons = []
    for name in PROTOCOLS if protocol is None else [protocol]:
        try:
            with Client(target, "no_such_model", name, timeout=_REACHED_WITHIN, retries=2) as client:
                client.status()
        except (ServingUnavailable, ServingTimeout) as error:
            reasons.append(f"{name}: {error}")
            continue
        except ServingError:
            # An error is an answer.
            pass
        except (ValueError, ImportError) as error:
            raise UsageError(str(error)) from None
        # The other protocol is not tried: servers log its bytes as an error.
        return name
    raise UsageError(f"no model server answers at {target}; {' '.join(reasons)}")


def _of_model(client, protocol, model, outputs, tolerance, must_be_there):
    def result(what, question):
        try:
            return Result(protocol, model, what, *question())
        except ServingError as error:
            return Result(protocol, model, what, False, str(error))

    try:
        state = _available(client.status())
    except ModelNotFound as error:
        yield Result(protocol, model, "status", False if must_be_there else None, str(error))
        return
    except ServingError as error:
        state = (False, str(error))
    yield Result(protocol, model, "status", *state)
    if not state[0]:
        # Everything else would fail too.
        return
    yield result("metadata", lambda: _metadata(client.metadata()))
    yield result(FLOAT_SIGNATURE, lambda: _floats(client, outputs, tolerance))
    yield result(BYTES_SIGNATURE, lambda: _files(client, outputs, tolerance))
    no_picture = [b"no picture"]
    bad_requests = {
        "text instead of floats": lambda: client.predict(FLOAT_SIGNATURE, no_picture),
        "a file that is not a picture": lambda: client.deblur_encoded(no_picture),
    }
    for what, question in bad_requests.items():
        yield _refused(protocol, model, what, question, "INVALID_ARGUMENT")


def _refused(protocol, model, what, question, code):
    try:
        question()
    except ServingError as error:
        return Result(protocol, model, what, error.code == code, f"{error.code} (expected {code}): {error}")
    return Result(protocol, model, what, False, f"answered, where {code} was expected")


def _available(versions):
    states = ", ".join(f"version {entry.version} {entry.state}" for entry in versions) or "no version"
    return any(entry.state == "AVAILABLE" for entry in versions), states


def _metadata(metadata):
    for name, (tensor, output) in _SIGNATURES.items():
        if name not in metadata.signatures:
            return False, f"no signature {name}; there are {', '.join(sorted(metadata.signatures)) or 'none'}"
        signature = metadata.signatures[name]
        for kind, found, expected in (
            ("input", signature.inputs, {INPUTS[name]: tensor}),
            ("output", signature.outputs, {output: tensor}),
        ):
            if found != expected:
                return False, f"{kind} of {name} is {_text(found)}, not {_text(expected)}"
    return True, f"version {metadata.version}, both signatures"


def _text(tensors):
    return ", ".join(f"{name} {info.dtype} {info.shape}" for name, info in tensors.items()) or "nothing"


def _floats(client, outputs, tolerance):
    restored = client(outputs.images.astype(np.float32) / 255)
    return _within(np.abs(restored - outputs.restored).max(), tolerance)


def _files(client, outputs, tolerance):
    restored = client.deblur_encoded([picture_files.encode(picture) for picture in outputs.images])
    try:
        pixels = outputs.images[0, ..., 0].size
        pictures = [picture_files.decode(file, pixels) for file in restored]
    except ValueError as error:
        return False, f"the answer is not a picture of the input's size: {error}"
    shapes = {picture.shape for picture in pictures}
    if shapes != {outputs.images.shape[1:]}:
        return False, f"the answers are of shapes {sorted(shapes)}, not {outputs.images.shape[1:]}"
    # Rounded to 8 bits.
    return _within(np.abs(np.stack(pictures) / 255.0 - outputs.restored).max(), tolerance + 0.5 / 255)


def _within(difference, tolerance):
    return bool(difference <= tolerance), f"largest difference {difference:.2g} (allowed: {tolerance:.2g})"
