"""Presets on the model hubs: ``hf://owner/name`` (Hugging Face) and ``kaggle://owner/model/framework/variation``.

The hubs' own packages download, cache and upload; this module decides which files, and says what failed.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from deblur_zoo.files.json_files import LARGEST_JSON, read_object

SCHEMES = ("hf", "kaggle")
_FORMS = {
    "hf": r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?",
    "kaggle": r"(?P<name>[\w.-]+/[\w.-]+/\w+/[\w.-]+)(/(?P<revision>\d+))?",
}
_EXAMPLES = {
    "hf": "hf://owner/name or hf://owner/name@revision",
    "kaggle": "kaggle://owner/model/framework/variation or .../variation/version",
}
# What of a preset's folder is uploaded, besides its weight file.
_UPLOADED = ("README.md", "config.json", "recipe.json", "training.json", "metrics.json", "golden.npz", "mobile/*")


def is_hub(uri: str) -> bool:
    """Whether a URI is one of a hub."""
    return uri.partition("://")[0] in SCHEMES


def download(uri: str, maximum_bytes: int) -> Path:
    """The local directory of a hub's preset; files that are cached are not fetched again.

    Args:
        uri: see ``_EXAMPLES``.
        maximum_bytes: the most that a weight file may have.

    Returns:
        Path of a directory in the hub's own cache with ``config.json`` and the weight file that it names. The weights
        are not checked.

    Raises:
        FileNotFoundError: the repository, revision or file does not exist.
        ValueError: another form of URI, or a file that is too large.
        ConnectionError: the hub cannot be reached, or refuses.
        ImportError: the hub's package is not installed.
    """
    scheme, name, revision = _parse(uri)
    if scheme == "kaggle":
        with _errors(uri), _package("kagglehub", "hub-kaggle", uri) as kagglehub:
            return Path(kagglehub.model_download(name if revision is None else f"{name}/{revision}"))
    with _errors(uri), _package("huggingface_hub", "hub-hf", uri) as hub:
        config = Path(_hf_file(hub, name, "config.json", revision, LARGEST_JSON))
        # The weights of the same commit, even if another one arrives meanwhile.
        weights = _weights_name(config)
        if weights:
            _hf_file(hub, name, weights, config.parent.name, maximum_bytes)
        return config.parent


def upload(folder: Path, weights: str, uri: str, *, message: str, private: bool) -> str:
    """Upload a preset's folder; the repository is made if it does not exist.

    Args:
        folder: the preset's directory.
        weights: name of its weight file.
        uri: without a revision or version, which the hub assigns.
        message: what changed.
        private: of a repository that is made: only its owner sees it.

    Returns:
        URI of what was uploaded; at Hugging Face with its commit.

    Raises:
        As ``download``.
    """
    scheme, name, revision = _parse(uri)
    if revision is not None:
        raise ValueError(f"{uri} names a revision, which the hub assigns: upload to {scheme}://{name}.")
    files = [weights, *_UPLOADED]
    if scheme == "kaggle":
        with _errors(uri), _package("kagglehub", "hub-kaggle", uri) as kagglehub:
            others = [path.name for path in folder.iterdir() if path.name not in {*files, "mobile"}]
            kagglehub.model_upload(name, str(folder), version_notes=message, ignore_patterns=others)
            return uri
    with _errors(uri), _package("huggingface_hub", "hub-hf", uri) as hub:
        api = hub.HfApi()
        api.create_repo(name, exist_ok=True, private=private)
        commit = api.upload_folder(repo_id=name, folder_path=str(folder), allow_patterns=files, commit_message=message)
        return f"{uri}@{commit.oid}"


def _parse(uri):
    """(scheme, name, revision or None)."""
    scheme, _, rest = uri.partition("://")
    match = re.fullmatch(_FORMS[scheme], rest)
    if not match:
        raise ValueError(f"{uri} is not of the form {_EXAMPLES[scheme]}.")
    return scheme, match["name"], match["revision"]


def _hf_file(hub, name, file, revision, maximum_bytes):
    try:
        planned = hub.hf_hub_download(name, file, revision=revision, dry_run=True)
    except (OSError, hub.errors.LocalEntryNotFoundError):
        # Without a network: the next call takes the file from the cache, or says why it cannot.
        planned = None
    if planned is not None and planned.will_download and planned.file_size > maximum_bytes:
        raise ValueError(f"{file} of {name} is larger than the {maximum_bytes:,} bytes that are accepted.")
    return hub.hf_hub_download(name, file, revision=revision)


def _weights_name(config):
    """The weight file that a config names, if it is a plain file name; the preset's reader checks all the rest."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        name = read_object(config)["weights"]["file"]
        return name if re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name) else None


@contextlib.contextmanager
def _package(name: str, extra: str, uri: str) -> Iterator[ModuleType]:
    try:
        package = importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{uri} needs the package {name}: pip install 'deblur-zoo[{extra}]'") from error
    yield package


@contextlib.contextmanager
def _errors(uri):
    """Raise the exceptions of ``download`` instead of those of the hubs' packages."""
    try:
        yield
    except Exception as error:
        # Told by their names: the packages are not always there, and Kaggle's answers are requests' exceptions.
        kinds = {kind.__name__ for kind in type(error).__mro__}
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, ImportError) or not kinds & {
            "HTTPError", "EntryNotFoundError", "RequestException", "ConnectionError", "KaggleApiHTTPError",
            "TransportError", "NotFoundError", "BackendError", "UnauthenticatedError", "LocalTokenNotFoundError",
        }:  # fmt: skip
            raise
        missing = {"RepositoryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError", "NotFoundError"}
        if status in (404, 410) or kinds & missing:
            raise FileNotFoundError(f"{uri} does not exist, or you may not see it: {reason}") from error
        raise ConnectionError(f"{uri} cannot be fetched or written: {reason}") from error
