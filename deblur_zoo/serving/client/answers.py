"""Model choice, status and metadata, the same over REST and gRPC."""

from dataclasses import dataclass

from deblur_zoo.exported.saved_model_folder import BYTES_SIGNATURE, FLOAT_SIGNATURE

# The name of each signature's only input; see exporters/saved_model.py.
INPUTS = {FLOAT_SIGNATURE: "images", BYTES_SIGNATURE: "encoded"}
# The largest answer that is read: as many floats as a picture of 64 million pixels has.
LARGEST_ANSWER = 1 << 30


@dataclass(frozen=True)
class ModelChoice:
    """A model's name and, unless the newest is wanted, a version's number or label."""

    name: str
    version: int | None = None
    version_label: str | None = None


@dataclass(frozen=True)
class VersionStatus:
    """State of one version of a model.

    Attributes:
        version: its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error_message: its error, or "".
    """

    version: int
    state: str
    error_message: str


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: TensorFlow's name of its type, such as "DT_FLOAT", and its shape, -1 for any; None for any
    number of dimensions."""

    dtype: str
    shape: tuple | None


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature: dicts of name to TensorInfo."""

    inputs: dict
    outputs: dict


@dataclass(frozen=True)
class ModelMetadata:
    """The version that answers, and its signatures by name."""

    version: int
    signatures: dict
