"""The versions of all models: how they come, are found by requests, and go."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import gc
import logging

from deblur_zoo.serving.server import configuration
from deblur_zoo.serving.server.errors import ServingError, from_tensorflow, invalid
from deblur_zoo.serving.server.saved_model import SavedModel

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass
class Version:
    """A version of a model, as its status tells.

    Attributes:
        number: its folder's name.
        state: a key of ``protocol.VERSION_STATES``.
        error: ``ServingError`` why it could not be loaded, or None.
        model: ``SavedModel``, while it is AVAILABLE or UNLOADING.
        users: requests that hold it.
        fingerprint: of its files when loading failed.
    """

    number: int
    state: str = "START"
    error: ServingError | None = None
    model: SavedModel | None = None
    users: int = 0
    fingerprint: tuple | None = None


@dataclasses.dataclass
class _Entry:
    """A model: its ``configuration.Model``, dict of number to ``Version``, and what new folders looked like."""

    model: configuration.Model
    versions: dict = dataclasses.field(default_factory=dict)
    seen: dict = dataclasses.field(default_factory=dict)

    @property
    def available(self):
        return [version for version in self.versions.values() if version.state == "AVAILABLE"]


def fingerprint(folder):
    """Names, sizes and times of a folder's files: it changes while somebody still copies them."""
    try:
        files = [(path, path.stat()) for path in sorted(folder.rglob("*"))]
    except OSError:
        return None
    return tuple((str(path.relative_to(folder)), status.st_size, status.st_mtime_ns) for path, status in files)


def _load(folder):
    """Load and warm up; what TensorFlow raises becomes a ServingError."""
    try:
        model = SavedModel(folder)
        model.warm_up()
    except ServingError:
        raise
    except Exception as error:
        # TensorFlow raises a dozen unrelated kinds for damaged files.
        raise from_tensorflow(error) from error
    return model


class ModelStore:
    """Loads, swaps and unloads versions; to be used from one event loop.

    A new version is loaded and warmed up beside the old one, which goes when the new one is available and the old one's
    requests are answered. One that cannot be loaded leaves the old one where it is, and is tried again when its files
    change.

    Args:
        models: list of ``configuration.Model``.
    """

    def __init__(self, models):
        self._entries = {model.name: _Entry(model) for model in models}
        self._updating = asyncio.Lock()
        # One model at a time: loading takes the processor from the requests.
        self._loader = concurrent.futures.ThreadPoolExecutor(1, "loader")

    @property
    def names(self):
        """Names of the configured models."""
        return list(self._entries)

    @property
    def ready(self):
        """Whether a version of every model is available."""
        return all(entry.available for entry in self._entries.values())

    def versions(self, name):
        """All versions of a model that were ever seen, in order; empty for an unknown model."""
        entry = self._entries.get(name)
        return [entry.versions[number] for number in sorted(entry.versions)] if entry else []

    @contextlib.contextmanager
    def use(self, name, number=None, label=None):
        """For the time of the block, the version that a request asks for; it is not unloaded before the block ends.

        Args:
            name: the model.
            number: its version, or None for the highest that is available.
            label: a label of the configuration instead of a number.

        Raises:
            ServingError: NOT_FOUND; INVALID_ARGUMENT for an empty name or an unknown label.
        """
        if not name:
            raise invalid("ModelSpec has no name specified.")
        entry = self._entries.get(name)
        if label is not None:
            number = entry.model.labels.get(label) if entry else None
            if number is None:
                raise invalid(f"Unrecognized servable version label: {label}")
        available = {version.number: version for version in (entry.available if entry else [])}
        wanted = max(available, default=None) if number is None else number
        version = available.get(wanted)
        if version is None:
            request = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise ServingError("NOT_FOUND", f"Servable not found for request: {request}")
        version.users += 1
        try:
            yield version
        finally:
            version.users -= 1
            self._drop_if_unused(version)

    async def update(self, patient=False):
        """Look at the folders once: load what is new, unload what is gone.

        Args:
            patient: leave a new folder alone until its files are as they were at the last look.
        """
        async with self._updating:
            for entry in list(self._entries.values()):
                await self._update(entry, patient)

    async def watch(self, poll_s):
        """Look at the folders every ``poll_s`` seconds, for ever."""
        while True:
            await asyncio.sleep(poll_s)
            try:
                await self.update(patient=True)
            except Exception:
                # A file system that is away for a while must not end the watch.
                _LOG.exception("The folders of versions could not be looked at")

    async def configure(self, models):
        """Serve other models: those that are named no more go, new ones are loaded.

        Args:
            models: list of ``configuration.Model``.

        Raises:
            ServingError: UNKNOWN where no version of some model became available.
        """
        async with self._updating:
            entries = {}
            for model in models:
                entries[model.name] = self._entries.get(model.name) or _Entry(model)
                entries[model.name].model = model
            gone = [entry for name, entry in self._entries.items() if name not in entries]
            self._entries = entries
            for entry in gone:
                for version in entry.available:
                    self._unload(version)
            for entry in entries.values():
                await self._update(entry, patient=False)
        missing = [name for name, entry in entries.items() if not entry.available]
        if missing:
            names = ", ".join(missing)
            raise ServingError("UNKNOWN", f"{len(missing)} servable(s) did not become available: {{{names}}}")

    def close(self):
        """End the thread that loads, once it is done with what it does."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    async def _update(self, entry, patient):
        found = await asyncio.to_thread(configuration.find_versions, entry.model.base_path)
        wanted = entry.model.policy.choose(found)
        for number in sorted(wanted):
            version = entry.versions.setdefault(number, Version(number))
            if version.state not in ("START", "END"):
                continue
            now = await asyncio.to_thread(fingerprint, found[number])
            if now is None or (version.error and version.fingerprint == now):
                continue
            if patient and entry.seen.get(number) != now:
                entry.seen[number] = now
                continue
            version.fingerprint = now
            await self._load(version, found[number])
        # The last available version stays until another takes its place, unless all its folders are gone.
        if not wanted or any(version.number in wanted for version in entry.available):
            for version in entry.available:
                if version.number not in wanted:
                    self._unload(version)

    async def _load(self, version, folder):
        version.state, version.error = "LOADING", None
        try:
            version.model = await asyncio.get_running_loop().run_in_executor(self._loader, _load, folder)
        except ServingError as error:
            version.state, version.error = "END", error
        else:
            version.state = "AVAILABLE"

    def _unload(self, version):
        version.state = "UNLOADING"
        self._drop_if_unused(version)

    def _drop_if_unused(self, version):
        if version.state == "UNLOADING" and not version.users:
            version.state, version.model = "END", None
            # The graph's objects refer to each other in circles. By then nothing on the stack holds them.
            asyncio.get_running_loop().call_later(0.2, self._collect)

    @staticmethod
    def _collect():
        asyncio.get_running_loop().run_in_executor(None, gc.collect)
