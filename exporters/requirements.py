"""Requirements of the export formats: Keras on TensorFlow, and packages of an extra."""

import importlib.util


def require_tensorflow(what):
    """Raise RuntimeError if Keras does not run on TensorFlow; ``what`` begins the message, such as "an ONNX file"."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"{what} is written by the TensorFlow backend, and Keras runs on {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow"
        )


def require_packages(what, packages, extra):
    """Raise RuntimeError if a package is missing.

    Args:
        what: what needs them, the beginning of the message.
        packages: names to import.
        extra: the extra in pyproject.toml that installs them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(
            f"{what} needs {' and '.join(missing)}, which is not installed: pip install 'deblur-zoo[{extra}]'"
        )
