"""Which models are served, from which folders, and which of their versions."""

import dataclasses
from pathlib import Path

from google.protobuf import text_format

from deblur_zoo.exported.saved_model_folder import MODEL_FILE, find_models, find_versions
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import ServingError, invalid
from deblur_zoo.serving.server.settings import Batching


@dataclasses.dataclass(frozen=True)
class Policy:
    """The versions that should be served: the ``latest`` so many, all (``latest`` None), or the ``specific`` ones."""

    latest: int | None = 1
    specific: frozenset | None = None

    def choose(self, found):
        """The set of versions to serve, of the set of versions that are on disk."""
        if self.specific is not None:
            return set(found) & self.specific
        return set(sorted(found, reverse=True)[: self.latest])


@dataclasses.dataclass(frozen=True)
class Model:
    """A model to serve.

    Attributes:
        name: as requests call it.
        base_path: the folder of its versions, whose names are numbers.
        policy: which of them are served.
        labels: dict of label to version.
    """

    name: str
    base_path: Path
    policy: Policy = Policy()
    labels: dict = dataclasses.field(default_factory=dict)


def from_folder(folder):
    """The models in a folder of NAME/VERSION/saved_model.pb, sorted by name.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no model in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    models = [Model(child.name, child) for child in find_models(folder)]
    if not models:
        hint = ""
        if any((version / MODEL_FILE).is_file() for version in find_versions(folder).values()):
            hint = f" It looks like a model itself: give the folder above it, {folder.absolute().parent}."
        raise ValueError(f"{folder} holds no model: NAME/VERSION/{MODEL_FILE} is looked for.{hint}")
    return models


def from_file(path):
    """The models of a tensorflow.serving.ModelServerConfig in text form, TensorFlow Serving's ``models.config``.

    A ``base_path`` that is not absolute is taken from the folder that the server runs in, as there.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, no model in it, or models that cannot be served.
    """
    try:
        message = text_format.Parse(Path(path).read_text(encoding="utf-8"), protocol.ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no tensorflow.serving.ModelServerConfig in text form: {error}.") from None
    try:
        return from_message(message)
    except ServingError as error:
        raise ValueError(f"{path}: {error}.") from None


def batching_from_file(path, enabled):
    """The ``Batching`` of TensorFlow Serving's ``batching.config``, and its ``max_enqueued_batches`` or None.

    Args:
        path: a tensorflow.serving.BatchingParameters in text form.
        enabled: for ``Batching``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, or parameters that this server does not have.
    """
    try:
        message = text_format.Parse(Path(path).read_text(encoding="utf-8"), protocol.BatchingParameters())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no tensorflow.serving.BatchingParameters in text form: {error}.") from None
    if message.allowed_batch_sizes or message.pad_variable_length_inputs:
        raise ValueError(f"{path}: allowed_batch_sizes and pad_variable_length_inputs are not offered here.")
    default = Batching()
    values = {
        name: getattr(message, name).value if message.HasField(name) else None
        for name in ("max_batch_size", "batch_timeout_micros", "num_batch_threads", "max_enqueued_batches")
    }
    for name, value in values.items():
        if value is not None and value < (0 if name == "batch_timeout_micros" else 1):
            raise ValueError(f"{path}: {name} cannot be {value}.")
    timeout = values["batch_timeout_micros"]
    options = Batching(
        enabled,
        values["max_batch_size"] or default.max_batch_size,
        default.timeout_s if timeout is None else timeout / 1e6,
        values["num_batch_threads"] or default.threads,
    )
    return options, values["max_enqueued_batches"]


def from_message(message):
    """The models of a ``protocol.ModelServerConfig``.

    Raises:
        ServingError: INVALID_ARGUMENT for what TensorFlow Serving refuses too.
    """
    if not message.HasField("model_config_list"):
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported"
        )
    models = [_model(config) for config in message.model_config_list.config]
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"Illegal to list model {name} multiple times in config list")
    if not models:
        raise invalid("The config list names no model")
    return models


def _model(config):
    if not config.name:
        raise invalid("A model of the config list has no name")
    if not config.base_path:
        raise invalid(f"The model {config.name} has no base_path")
    if config.model_platform not in ("", "tensorflow"):
        raise invalid(f"The model {config.name} requests unsupported platform {config.model_platform}")
    choice = config.model_version_policy.WhichOneof("policy_choice")
    if choice == "all":
        policy = Policy(latest=None)
    elif choice == "specific":
        policy = Policy(specific=frozenset(config.model_version_policy.specific.versions))
    else:
        # 0, protocol buffers' way of saying nothing, is one version.
        policy = Policy(latest=config.model_version_policy.latest.num_versions or 1)
    return Model(config.name, Path(config.base_path), policy, dict(config.version_labels))
