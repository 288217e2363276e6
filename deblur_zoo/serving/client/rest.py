"""TensorFlow Serving's REST interface: JSON over a pool of HTTP connections.

Pictures go as ``{"b64": ...}``, floats as JSON numbers with all digits of a float32. Requests are in row form
("instances"), without names: each signature has one input and one output.
"""

import base64
import http.client
import json
import ssl
from urllib.parse import quote

import numpy as np
import urllib3
from urllib3.exceptions import (
    HTTPError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from deblur_zoo.serving.client.answers import (
    LARGEST_ANSWER,
    ModelMetadata,
    Signature,
    TensorInfo,
    VersionStatus,
)
from deblur_zoo.serving.client.errors import CODE_OF_HTTP_STATUS, error_of, one_line

# Connections that are kept open; urllib3 complains on standard error where more are under way.
_CONNECTIONS = 1024
_READ_AT_ONCE = 1 << 20


class RestTransport:
    """Requests to one server.

    Args:
        host, port: where it listens.
        tls: speak HTTPS.
        ca_file: certificates to trust instead of the system's.
        headers: dict, sent with each request.
    """

    def __init__(self, host, port, tls=False, ca_file=None, headers=None):
        self.server = f"The server at {host}:{port}"
        options = {"maxsize": _CONNECTIONS, "headers": {"Content-Type": "application/json", **(headers or {})}}
        if tls:
            self._pool = urllib3.HTTPSConnectionPool(host, port, ca_certs=ca_file, **options)
        else:
            self._pool = urllib3.HTTPConnectionPool(host, port, **options)

    def close(self):
        self._pool.close()

    def predict(self, choice, signature, values, deadline):
        """Send a batch.

        Args:
            choice: ModelChoice.
            signature: name of a signature with one input and one output.
            values: float array, or a list of ``bytes``.
            deadline: Deadline.

        Returns:
            float32 array for floats, a list of ``bytes`` for bytes.

        Raises:
            ServingError.
        """
        encoded = isinstance(values, list)
        instances = [{"b64": base64.b64encode(value).decode()} for value in values] if encoded else values.tolist()
        body = json.dumps({"signature_name": signature, "instances": instances}, separators=(",", ":")).encode()
        answer, is_utf8 = self._ask("POST", f"{_path(choice)}:predict", deadline, body)
        try:
            predictions = answer["predictions"]
            if encoded:
                return [_bytes_of(value, is_utf8) for value in predictions]
            return np.array(predictions, np.float32)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable(f"no predictions of {signature} ({error!r})") from error

    def status(self, choice, deadline):
        """List of ``VersionStatus``; raises ServingError."""
        answer, _ = self._ask("GET", _path(choice), deadline)
        try:
            return [
                VersionStatus(
                    int(entry["version"]), str(entry["state"]), str(entry.get("status", {}).get("error_message", ""))
                )
                for entry in answer["model_version_status"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable(f"no model status ({error!r})") from error

    def metadata(self, choice, deadline):
        """``ModelMetadata``; raises ServingError."""
        answer, _ = self._ask("GET", f"{_path(choice)}/metadata", deadline)
        try:
            definitions = answer["metadata"]["signature_def"]["signature_def"]
            signatures = {
                name: Signature(_tensors(definition.get("inputs", {})), _tensors(definition.get("outputs", {})))
                for name, definition in definitions.items()
            }
            return ModelMetadata(int(answer["model_spec"]["version"]), signatures)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable(f"no model metadata ({error!r})") from error

    def _ask(self, method, path, deadline, body=None):
        """The JSON value of a good answer, and whether it was UTF-8."""
        try:
            response = self._pool.urlopen(
                method,
                path,
                body=body,
                timeout=urllib3.Timeout(connect=deadline.remaining(), read=deadline.remaining()),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            content = self._read(response, deadline)
        except (HTTPError, OSError) as error:
            raise self._transport_error(error, deadline) from error
        if response.status != 200:
            raise self._refusal(response, content)
        try:
            try:
                return json.loads(content.decode("utf-8")), True
            except UnicodeDecodeError:
                # TensorFlow Serving writes strings as {"b64": ...} only where the output's name ends in _bytes, and
                # otherwise copies their bytes into the JSON. In Latin-1 each byte is one character.
                return json.loads(content.decode("latin-1"), strict=False), False
        except (ValueError, RecursionError) as error:
            raise self._unreadable("no JSON") from error

    def _read(self, response, deadline):
        """The whole body, within the deadline even where it comes byte by byte."""
        chunks, size = [], 0
        try:
            while True:
                if not deadline.remaining():
                    raise deadline.error(self.server)
                connection = response.connection
                if connection is not None and connection.sock is not None:
                    connection.sock.settimeout(deadline.remaining() or 1e-3)
                chunk = response.read1(_READ_AT_ONCE)
                if not chunk:
                    break
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGEST_ANSWER:
                    raise self._unreadable(f"more than {LARGEST_ANSWER:,} bytes")
        except BaseException:
            # A half-read connection must not be used again.
            response.close()
            raise
        response.release_conn()
        return b"".join(chunks)

    def _transport_error(self, error, deadline):
        """The exception for a request that got no whole answer."""
        cause = error.args[1] if isinstance(error, ProtocolError) and len(error.args) > 1 else error
        if isinstance(error, NewConnectionError):
            # Without the connection's name, which stands before.
            reason = one_line(str(error).rpartition("): ")[2])
            return error_of("UNAVAILABLE", f"{self.server} cannot be reached: {reason}.")
        if isinstance(error, PoolTimeoutError) or isinstance(cause, TimeoutError):
            return deadline.error(self.server)
        if isinstance(error, (SSLError, ssl.SSLError)):
            return error_of("UNAVAILABLE", f"{self.server} gives no TLS that is trusted: {one_line(error)}.", False)
        if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, http.client.RemoteDisconnected):
            return error_of("UNAVAILABLE", f"{self.server} does not speak HTTP: is this the gRPC port?", False)
        return error_of("UNAVAILABLE", f"{self.server} broke the connection off: {one_line(cause)}.")

    def _refusal(self, response, content):
        """The exception for an answer that is not 200."""
        code = CODE_OF_HTTP_STATUS.get(response.status, "UNKNOWN")
        try:
            reason = json.loads(content)["error"]
        except (ValueError, KeyError, TypeError, RecursionError):
            reason = response.reason or content[:300].decode("utf-8", "replace")
        try:
            retry_after = urllib3.Retry().get_retry_after(response)
        except HTTPError:
            # Neither seconds nor a date.
            retry_after = None
        message = f"{self.server} answers {response.status} ({code}): {one_line(reason)}"
        return error_of(code, message, retry_after=retry_after)

    def _unreadable(self, what):
        return error_of("DATA_LOSS", f"{self.server} answered, but sent {what}.")


def _path(choice):
    path = f"/v1/models/{quote(choice.name, safe='')}"
    if choice.version is not None:
        return f"{path}/versions/{choice.version}"
    return path if choice.version_label is None else f"{path}/labels/{quote(choice.version_label, safe='')}"


def _bytes_of(value, is_utf8):
    if isinstance(value, dict):
        return base64.b64decode(value["b64"], validate=True)
    return value.encode("utf-8" if is_utf8 else "latin-1")


def _tensors(entries):
    found = {}
    for name, entry in entries.items():
        shape = entry.get("tensor_shape", {})
        sizes = tuple(int(dim["size"]) for dim in shape.get("dim", []))
        found[name] = TensorInfo(str(entry["dtype"]), None if shape.get("unknown_rank") else sizes)
    return found
