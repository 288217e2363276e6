"""Presets from a URI: a local folder or archive, or one fetched over HTTPS and kept in a cache.

A URI names an archive (``.tar.gz``, ``.tgz`` or ``.zip``) with one preset, or a base address with ``config.json`` and
the weight file. Presets are cached after the first download, if the weight file matches the sha256 in their
config. If a URI states its archive's sha256, the archive is cached too and the unpacked files are compared with it on
each use.
"""

import hashlib
import http.client
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath

from deblur_zoo.files import hubs
from deblur_zoo.files.archives import ARCHIVE_ENDINGS, holds, unpack
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.files.json_files import LARGEST_JSON, read_object

MAXIMUM_BYTES = 2 << 30
_TIMEOUT_SECONDS = 30
# In a folder of the cache.
_ARCHIVE, _PRESET = "archive", "preset"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def cache_folder():
    """``$DEBLUR_ZOO_CACHE``, or ``~/.cache/deblur_zoo``."""
    return Path(os.environ.get("DEBLUR_ZOO_CACHE") or Path.home() / ".cache" / "deblur_zoo")


def fetch(uri, maximum_bytes=MAXIMUM_BYTES):
    """The local directory of the preset that a URI names.

    Args:
        uri: ``file:///folder``, ``file:///archive.tar.gz``, ``https://host/archive.zip`` or ``https://host/preset``.
            An archive's URI may end in ``#sha256=<64 hexadecimal digits>``, which is then checked.
            ``http`` is accepted from this machine only. Or ``hf://owner/name`` or
            ``kaggle://owner/model/framework/variation``, where ``#sha256=`` is that of the weight file.
        maximum_bytes: the most that is downloaded, and the most that an archive may unpack to.

    Returns:
        Path of a directory. Fetched ones lie in ``cache_folder()`` or the hub's cache; remove them there to fetch
        again.

    Raises:
        FileNotFoundError: the file, directory or address does not exist.
        ValueError: a kind of URI that is not accepted, a wrong checksum, an unsafe or damaged archive, one that is too
            large, no preset, or, with ``#sha256=``, a cache that was altered.
        ConnectionError: the server cannot be reached, answers with an error, or cuts the answer off.
        ImportError: the hub's package is not installed.
    """
    address, _, fragment = uri.partition("#")
    checksum = _checksum(fragment, uri)
    parts = urllib.parse.urlsplit(address)
    if hubs.is_hub(address):
        return _from_hub(address, checksum, maximum_bytes)
    is_archive = parts.path.endswith(ARCHIVE_ENDINGS)
    if checksum and not is_archive:
        raise ValueError(f"#sha256= is for archives ({', '.join(ARCHIVE_ENDINGS)}), which {address} is not.")
    if parts.scheme == "file":
        local = _local_path(parts, uri)
        if local.is_dir():
            return local
        if not local.is_file():
            raise FileNotFoundError(f"There is no file or directory {local}.")
        if not is_archive:
            raise ValueError(f"{local} is neither a directory nor an archive ({', '.join(ARCHIVE_ENDINGS)}).")
    else:
        _check_scheme(address)
    # A local archive is known by its time and size too, so that a new one under the old name is seen.
    state = f"{local.stat().st_mtime_ns} {local.stat().st_size}" if parts.scheme == "file" else ""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", PurePosixPath(parts.path).name)[:40]
    # Also the layout's number: folders of another one are not touched.
    folder = cache_folder() / f"{name}-{hashlib.sha256(f'2 {uri} {state}'.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache_folder()) as temporary:
            work = Path(temporary, "work")
            work.mkdir()
            if is_archive:
                archive = local if parts.scheme == "file" else work / _ARCHIVE
                if parts.scheme != "file":
                    _download(address, archive, maximum_bytes)
                elif checksum:
                    archive = Path(shutil.copyfile(local, work / _ARCHIVE))
                if checksum and sha256_of(archive) != checksum:
                    raise ValueError(f"{address} is damaged or was altered: its sha256 is not {checksum}.")
                unpack(archive, work / _PRESET, address, maximum_bytes)
                if not checksum:
                    (work / _ARCHIVE).unlink(missing_ok=True)
            else:
                _download_files(address, work / _PRESET, maximum_bytes)
            _check_weights(_preset_folder(work / _PRESET, address), address)
            _keep(work, folder)
    elif checksum:
        archive = folder / _ARCHIVE
        same = archive.is_file() and sha256_of(archive) == checksum
        if not same or not holds(archive, folder / _PRESET, address, maximum_bytes):
            raise ValueError(f"{folder} was altered after {address} was fetched into it: remove it to fetch again.")
    return _preset_folder(folder / _PRESET, address)


def _from_hub(address, checksum, maximum_bytes):
    folder = hubs.download(address, maximum_bytes)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{address} holds no config.json at its root, so it is not a preset.")
    weights = _weights_entry(folder, address)
    if checksum and (weights is None or weights["sha256"] != checksum):
        raise ValueError(f"{address} holds other weights: their sha256 is not {checksum}.")
    file = folder / weights["file"] if weights else None
    if file is not None and (not file.is_file() or sha256_of(file) != weights["sha256"]):
        raise ValueError(
            f"{file.name} of {address} is missing, damaged or was altered: its sha256 is not the one in config.json; "
            f"remove {folder} to fetch it again."
        )
    return folder


def _keep(preset, folder):
    try:
        os.replace(preset, folder)
    except OSError:
        # Another process put the same preset there in the meantime.
        if not folder.is_dir():
            raise


def _checksum(fragment, uri):
    if not fragment:
        return None
    match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if not match:
        raise ValueError(f"After #, a URI can only have sha256=<64 hexadecimal digits>, got {uri}.")
    return match.group(1).lower()


def _local_path(parts, uri):
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"A file:// URI must name a file on this machine, such as file:///folder, got {uri}.")
    return Path(urllib.request.url2pathname(parts.path))


def _check_scheme(address):
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    hint = " (unencrypted http is accepted from this machine only)" if parts.scheme == "http" else ""
    raise ValueError(f"A preset's URI must begin with https://, file://, hf:// or kaggle://, got {address}{hint}.")


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where a URI may point in the first place."""

    def redirect_request(self, request, file, code, message, headers, new_address):
        _check_scheme(new_address)
        return super().redirect_request(request, file, code, message, headers, new_address)


def _download(address, target, maximum_bytes):
    """Fetch an address into a file, refusing more than ``maximum_bytes`` and less than was announced."""
    opener = urllib.request.build_opener(_CheckedRedirects)
    try:
        with opener.open(address, timeout=_TIMEOUT_SECONDS) as response, open(target, "wb") as file:
            announced = response.headers.get("Content-Length")
            received = 0
            while block := response.read(1 << 20):
                received += len(block)
                if received > maximum_bytes:
                    raise ValueError(f"{address} is larger than the {maximum_bytes:,} bytes that are accepted.")
                file.write(block)
    except urllib.error.HTTPError as error:
        kind = FileNotFoundError if error.code in (404, 410) else ConnectionError
        raise kind(f"{address} cannot be downloaded: the server answered {error.code} {error.reason}.") from error
    except urllib.error.URLError as error:
        raise ConnectionError(f"{address} cannot be reached: {error.reason}.") from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise ConnectionError(f"{address} cannot be fetched: {error}.") from error
    if announced is not None and announced.isdigit() and received != int(announced):
        raise ConnectionError(f"{address} was cut off after {received:,} of {int(announced):,} bytes; try again.")


def _download_files(address, folder, maximum_bytes):
    """Fetch ``config.json`` and the weight file that it names from below a base address."""
    folder.mkdir()
    base = address.rstrip("/")
    _download(f"{base}/config.json", folder / "config.json", LARGEST_JSON)
    weights = _weights_entry(folder, base)
    if weights:
        _download(f"{base}/{weights['file']}", folder / weights["file"], maximum_bytes)


def _weights_entry(folder, address):
    """The checked entry of the weight file in a ``config.json``; None without one."""
    try:
        weights = read_object(folder / "config.json")["weights"]
        if weights is None:
            return None
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", weights["file"]):
            raise ValueError("the weight file is not a plain file name")
        if not re.fullmatch(r"[0-9a-f]{64}", weights["sha256"]):
            raise ValueError("the weight file's sha256 is not stated in lower-case hexadecimal")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{address}/config.json is not a preset's config: {error}.") from error
    return weights


def _check_weights(folder, address):
    """Reject weights that were cut off; without an announced length, only the checksum shows it."""
    weights = _weights_entry(folder, address)
    if weights is None:
        return
    file = folder / weights["file"]
    if not file.is_file():
        raise FileNotFoundError(f"{address} has no {file.name}, which its config.json names.")
    if sha256_of(file) != weights["sha256"]:
        raise ValueError(
            f"{file.name} of {address} was cut off, is damaged or was altered: its sha256 is not the one in "
            "config.json; it was not kept, and the next try fetches it again."
        )


def _preset_folder(folder, address):
    """The directory with ``config.json``: what was unpacked, or its only folder."""
    candidates = [place for place in (folder, *folder.iterdir()) if (place / "config.json").is_file()]
    if len(candidates) != 1:
        raise FileNotFoundError(
            f"{address} must hold one config.json, at its root or in its only folder; it holds {len(candidates)}."
        )
    return candidates[0]
