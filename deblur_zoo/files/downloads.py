"""Presets from a URI: a local folder or archive, or one fetched over HTTPS and kept in a cache.

A URI names an archive (``.tar.gz``, ``.tgz`` or ``.zip``) that holds one preset, or a base under which ``config.json``
and the weight file lie. What was fetched once is taken from the cache from then on.
"""

import hashlib
import http.client
import json
import os
import re
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath

from deblur_zoo.files.archives import ARCHIVE_ENDINGS, unpack
from deblur_zoo.files.checksum import sha256_of

MAXIMUM_BYTES = 2 << 30
_TIMEOUT_SECONDS = 30
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def cache_folder():
    """``$DEBLUR_ZOO_CACHE``, or ``~/.cache/deblur_zoo``."""
    return Path(os.environ.get("DEBLUR_ZOO_CACHE") or Path.home() / ".cache" / "deblur_zoo")


def fetch(uri, maximum_bytes=MAXIMUM_BYTES):
    """The local directory of the preset that a URI names.

    Args:
        uri: ``file:///folder``, ``file:///archive.tar.gz``, ``https://host/archive.zip`` or ``https://host/preset``.
            An archive's URI may end in ``#sha256=<64 hexadecimal digits>``, which is then checked.
            ``http`` is accepted from this machine only.
        maximum_bytes: the most that is downloaded, and the most that an archive may unpack to.

    Returns:
        Path of a directory. Fetched ones lie in ``cache_folder()``; remove them there to fetch again.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a kind of URI that is not accepted, a wrong checksum, an unsafe or damaged archive, or too large.
        ConnectionError: the server cannot be reached, or answers with an error.
    """
    address, _, fragment = uri.partition("#")
    checksum = _checksum(fragment, uri)
    parts = urllib.parse.urlsplit(address)
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
    folder = cache_folder() / f"{name}-{hashlib.sha256(f'{uri} {state}'.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache_folder()) as temporary:
            work = Path(temporary)
            if is_archive:
                archive = local if parts.scheme == "file" else work / "archive"
                if parts.scheme != "file":
                    _download(address, archive, maximum_bytes)
                if checksum and sha256_of(archive) != checksum:
                    raise ValueError(f"{address} is damaged or was altered: its sha256 is not {checksum}.")
                preset = _unpack(archive, work / "preset", address, maximum_bytes)
            else:
                preset = _download_files(address, work / "preset", maximum_bytes)
            _keep(preset, folder)
    return folder


def _keep(preset, folder):
    try:
        os.replace(preset, folder)
    except OSError:
        # Another process put the same preset there meanwhile.
        if not folder.is_dir():
            raise


def _checksum(fragment, uri):
    if not fragment:
        return None
    match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if not match:
        raise ValueError(f"After # a URI may only say sha256=<64 hexadecimal digits>, unlike {uri}.")
    return match.group(1).lower()


def _local_path(parts, uri):
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"A file:// URI names a file of this machine, as in file:///folder, unlike {uri}.")
    return Path(urllib.request.url2pathname(parts.path))


def _check_scheme(address):
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    hint = " (unencrypted http is accepted from this machine only)" if parts.scheme == "http" else ""
    raise ValueError(f"A preset's URI begins with https:// or file://, unlike {address}{hint}.")


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
        raise kind(f"{address} cannot be fetched: the server answers {error.code} {error.reason}.") from error
    except urllib.error.URLError as error:
        raise ConnectionError(f"{address} cannot be reached: {error.reason}.") from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise ConnectionError(f"{address} cannot be fetched: {error}.") from error
    if announced is not None and announced.isdigit() and received != int(announced):
        raise ConnectionError(f"{address} broke off after {received:,} of {int(announced):,} bytes; try again.")


def _download_files(address, folder, maximum_bytes):
    """Fetch ``config.json`` and the weight file that it names from below a base address."""
    folder.mkdir()
    base = address.rstrip("/")
    config = folder / "config.json"
    _download(f"{base}/config.json", config, 1_000_000)
    try:
        weights = json.loads(config.read_text(encoding="utf-8"))["weights"]
        file = weights and weights["file"]
        if file and not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", file):
            raise ValueError("the weight file is not a plain file name")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{base}/config.json is no preset's config: {error}.") from error
    if file:
        _download(f"{base}/{file}", folder / file, maximum_bytes)
    return folder


def _unpack(archive, folder, address, maximum_bytes):
    """Unpack an archive and give the directory with ``config.json``: the archive's root, or its only folder."""
    unpack(archive, folder, address, maximum_bytes)
    candidates = [place for place in (folder, *folder.iterdir()) if (place / "config.json").is_file()]
    if len(candidates) != 1:
        raise FileNotFoundError(
            f"{address} must hold one config.json, at its root or in its only folder; it holds {len(candidates)}."
        )
    return candidates[0]
