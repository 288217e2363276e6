"""Restores pictures on a model server, with the interface of a model.

    with Client("localhost:8501") as client:
        restored = client.deblur("face.png")
        deblur_zoo.Restorer(client).restore("photo.jpg").save("restored.jpg")

Pictures that fit in 8 bits go to the signature ``serving_bytes`` as PNG files: lossless, far smaller than numbers in
JSON, and batched at any size. Others (16-bit files, float arrays) go to ``serving_default`` at full float32 precision.
"""

import functools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deblur_zoo.annotations import Array, Pictures, StrPath
from deblur_zoo.exported.saved_model_folder import BYTES_SIGNATURE, FLOAT_SIGNATURE
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.serving.client import pipeline, retries
from deblur_zoo.serving.client.answers import INPUTS, ModelChoice, ModelMetadata, VersionStatus
from deblur_zoo.serving.client.errors import ServingError, error_of

PROTOCOLS = ("rest", "grpc")
# A request holds at most ``batch_size`` pictures of this many pixels, and fewer of larger ones. As JSON, 16 crops of
# 128x128 are some 15 MB.
_PIXELS_PER_PICTURE = {FLOAT_SIGNATURE: 128 * 128, BYTES_SIGNATURE: 256 * 256}


@dataclass(frozen=True)
class _Prepared:
    """Pictures, and the signature that they go to."""

    picture: picture_files.Picture
    signature: str

    def may_meet(self, other):
        """Whether requests of the two can be batched: only float pictures of different sizes cannot."""
        return (
            FLOAT_SIGNATURE not in (self.signature, other.signature)
            or self.signature != other.signature
            or self.picture.rgb.shape[1:] == other.picture.rgb.shape[1:]
        )


class Client:
    """A model on a server with TensorFlow Serving's protocols. Threads can share a client.

    Needs ``urllib3`` for REST and ``grpcio`` for gRPC (``pip install deblur-zoo[serving]``), but neither TensorFlow
    nor Keras. Nothing is sent before the first call.

    Args:
        target: "HOST:PORT" of the server, an IPv6 address in brackets; TensorFlow Serving's REST port is 8501, its
            gRPC port 8500.
        model: the model's name on the server.
        protocol: "rest" or "grpc".
        version: number of a version; None: the newest.
        version_label: label of a version, instead of its number.
        signature: "serving_bytes" (rounded to 8 bits) or "serving_default" for all pictures; None: see
            the module's docstring.
        timeout: seconds for a whole call, including retries and pauses.
        retries: retries after no answer or a temporary error (REST 429, 502, 503; gRPC RESOURCE_EXHAUSTED,
            UNAVAILABLE); pauses double from 0.1 to 5 s, or as long as the server asks for.
        tls: encrypt; the server's certificate is verified.
        ca_file: file of certificates to trust instead of the system's, for ``tls``.
        headers: dict sent with each request (gRPC: as metadata), such as a gateway's token.

    Raises:
        ValueError: an invalid argument.
        ImportError: the protocol's package is not installed.
    """

    def __init__(
        self,
        target: str,
        model: str = "one_step_lite",
        protocol: str = "rest",
        version: int | None = None,
        version_label: str | None = None,
        signature: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        tls: bool = False,
        ca_file: StrPath | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        host, port = split_target(target)
        if not isinstance(model, str) or not model:
            raise ValueError(f"model must be a name, got {model!r}")
        if version is not None and version_label is not None:
            raise ValueError("give a version's number or its label, not both")
        _check_whole("version", version, 0, None)
        _check_whole("retries", retries, 0)
        if signature not in (None, *INPUTS):
            raise ValueError(f"signature must be {', '.join(INPUTS)} or None, got {signature!r}")
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < 1e7:
            raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r}")
        self.name, self.choice = model, ModelChoice(model, version, version_label)
        self.signature, self.timeout, self.retries = signature, timeout, retries
        self._transport = _open_transport(protocol, host, port, tls, ca_file, headers)
        self._stopped = threading.Event()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; running calls end with a ServingError, or finish unheard."""
        self._stopped.set()
        self._transport.close()

    def __call__(self, images: ArrayLike, batch_size: int = 16) -> Array:
        """Restore a batch of floats with ``serving_default``.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1].
            batch_size: pictures in a request; fewer of more than 128x128 pixels.

        Returns:
            float32 array of the same shape.

        Raises:
            ValueError: another shape.
            ServingError: as ``deblur``.
        """
        images = np.asarray(images, np.float32)
        if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
            raise ValueError(f"images must be of shape (N, H, W, 3), got {images.shape}")
        return self._restore_floats(images, batch_size, self._deadline())

    # With this and ``name``, a ``deblur_zoo.Restorer`` takes a client as its model.
    run = __call__

    def deblur(self, pictures: Pictures, batch_size: int = 16) -> Array:
        """Restore a picture or a batch and return it in the form it came in.

        Args:
            pictures: a path, a PIL image, or an array of shape (H, W), (H, W, C) or (N, H, W, C), C in 1, 3, 4;
                uint8, uint16 or float in [0, 1].
            batch_size: pictures in a request; fewer of more than 256x256 pixels (128x128 by ``serving_default``).

        Returns:
            uint8 array of the input's shape, as ``Deblurrer.deblur``; a grey picture that went as PNG may differ from
            that by 1, since the server rounds before its colours are made grey. A picture on which the network fails
            is returned unchanged.

        Raises:
            FileNotFoundError, ValueError, TypeError: as ``deblur_zoo.files.pictures.load``.
            InvalidRequest, ModelNotFound, ServingUnavailable, ServingTimeout, UnreadableAnswer: as
                ``deblur_zoo.serving.client.errors`` says; all are ServingError.
        """
        prepared = self._prepare(pictures)
        return prepared.picture.rebuild(self._restored(prepared, batch_size))

    def deblur_encoded(self, files: Sequence[bytes], batch_size: int = 16) -> list[bytes]:
        """Restore picture files with ``serving_bytes``; their sizes may differ.

        Args:
            files: list of ``bytes``, each a JPEG or PNG file; upright and in sRGB, since the server reads neither EXIF
                data nor colour profiles.
            batch_size: files in a request. A file that is not a picture fails its request, and with it this call.

        Returns:
            list of ``bytes``, each an RGB PNG of its file's size.

        Raises:
            TypeError: something else than bytes.
            ServingError: as ``deblur``.
        """
        files = list(files)
        wrong = next((file for file in files if not isinstance(file, bytes)), None)
        if wrong is not None:
            raise TypeError(f"encoded pictures must be bytes, got {type(wrong).__name__}")
        _check_whole("batch_size", batch_size, 1)
        deadline = self._deadline()
        restored = []
        for start in range(0, len(files), batch_size):
            sent = files[start : start + batch_size]
            answer = self._ask("predict", deadline, BYTES_SIGNATURE, sent)
            if len(answer) != len(sent):
                raise self._unreadable(f"{len(answer)} pictures for {len(sent)}")
            restored += answer
        return restored

    def predict(self, signature: str, values: Any) -> Any:
        """Send values unchecked as one request, for other signatures and for tests of a server.

        Args:
            signature: name of a signature with one input and one output; over gRPC the input is called "encoded" for
                ``serving_bytes`` and "images" for all others.
            values: numeric array, or a list of ``bytes``.

        Returns:
            float32 array, or a list of ``bytes``.

        Raises:
            ServingError: as ``deblur``.
        """
        return self._ask("predict", self._deadline(), signature, values)

    def deblur_files(self, jobs: Iterable[tuple[StrPath, StrPath]], in_flight: int = 8) -> Iterator[Path | Exception]:
        """Restore picture files to others, keeping their colour profiles, with several requests at a time.

        Args:
            jobs: iterable of (path of a picture, path of its result); folders are made.
            in_flight: how many may be under way.

        Returns:
            generator, in order, of the result's path, or of the ValueError, OSError or ServingError that was met.

        Raises:
            ValueError: ``in_flight`` is not a whole number from 1.
        """
        _check_whole("in_flight", in_flight, 1)

        def save(picture, restored, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            picture.save(target, restored)
            return target

        jobs = ((path, functools.partial(save, target=Path(target))) for path, target in jobs)
        return self._results(self._under_way(jobs, in_flight), return_errors=True)

    def deblur_many(
        self, pictures: Iterable[Pictures], in_flight: int = 8, return_errors: bool = False
    ) -> Iterator[Array | Exception]:
        """Restore pictures one by one with several requests at a time, so that the server can batch them.

        Float pictures of different sizes are never sent at the same time: a server that batches would reject them.

        Args:
            pictures: iterable of what ``deblur`` takes; read as requests finish.
            in_flight: how many may be read and not yet given back.
            return_errors: give ValueError, OSError, TypeError and ServingError instead of the picture that they are
                about, and the call continues; otherwise they are raised.

        Returns:
            generator of uint8 arrays, in order. Leaving it early waits for nothing.

        Raises:
            ValueError: ``in_flight`` is not a whole number from 1.
        """
        _check_whole("in_flight", in_flight, 1)
        jobs = ((picture, picture_files.Picture.rebuild) for picture in pictures)
        return self._results(self._under_way(jobs, in_flight), return_errors)

    def _under_way(self, jobs, in_flight):
        """Futures of jobs (picture, finish), in order; ``finish(picture, rgb)`` gives the result."""

        def prepared():
            for source, finish in jobs:
                try:
                    yield self._prepare(source), finish
                except (ValueError, OSError, TypeError) as error:
                    yield error, None

        def restore(item):
            prepared, finish = item
            if isinstance(prepared, Exception):
                raise prepared
            return finish(prepared.picture, self._restored(prepared, 16))

        def may_meet(item, other):
            return any(isinstance(one, Exception) for one in (item[0], other[0])) or item[0].may_meet(other[0])

        return pipeline.in_order(restore, prepared(), in_flight, may_meet)

    @staticmethod
    def _results(futures, return_errors):
        for future in futures:
            error = future.exception()
            if error is None:
                yield future.result()
            elif return_errors and isinstance(error, (ValueError, OSError, TypeError, ServingError)):
                yield error
            else:
                raise error

    def status(self) -> list[VersionStatus]:
        """State of each version of the model that the server knows: list of ``VersionStatus``; raises ServingError."""
        return self._ask("status", self._deadline())

    def metadata(self) -> ModelMetadata:
        """Version and signatures of the model: ``ModelMetadata``; raises ServingError."""
        return self._ask("metadata", self._deadline())

    def _deadline(self):
        return retries.Deadline(self.timeout)

    def _ask(self, method, deadline, *arguments):
        if self._stopped.is_set():
            raise error_of("CANCELLED", "The client was closed.")
        request = getattr(self._transport, method)
        return retries.call(
            lambda deadline: request(self.choice, *arguments, deadline),
            self._transport.server,
            deadline,
            self.retries,
            self._stopped,
        )

    def _prepare(self, pictures):
        picture = picture_files.load(pictures)
        return _Prepared(picture, self.signature or (BYTES_SIGNATURE if _is_8_bit(picture.rgb) else FLOAT_SIGNATURE))

    def _restored(self, prepared, batch_size):
        deadline = self._deadline()
        rgb = prepared.picture.rgb
        restore = self._restore_floats if prepared.signature == FLOAT_SIGNATURE else self._restore_pngs
        return picture_files.unless_failed(rgb, restore(rgb, batch_size, deadline))

    def _restore_floats(self, rgb, batch_size, deadline):
        restored = []
        for sent in _requests(rgb, batch_size, FLOAT_SIGNATURE):
            answer = self._ask("predict", deadline, FLOAT_SIGNATURE, sent)
            if answer.shape != sent.shape or not np.isfinite(answer).all():
                what = "NaN or infinity" if answer.shape == sent.shape else f"shape {answer.shape} for {sent.shape}"
                raise self._unreadable(what)
            restored.append(answer)
        return np.concatenate(restored)

    def _restore_pngs(self, rgb, batch_size, deadline):
        restored = np.empty(rgb.shape, np.float32)
        height, width = rgb.shape[1:3]
        place = 0
        for sent in _requests(rgb, batch_size, BYTES_SIGNATURE):
            files = [picture_files.encode(np.rint(255 * picture).astype(np.uint8)) for picture in sent]
            answer = self._ask("predict", deadline, BYTES_SIGNATURE, files)
            if len(answer) != len(files):
                raise self._unreadable(f"{len(answer)} pictures for {len(files)}")
            for file in answer:
                try:
                    # No more pixels than were sent: whatever answers, it gets no more memory than that.
                    pixels = picture_files.decode(file, height * width)
                except ValueError as error:
                    raise self._unreadable(f"no picture: {error}") from error
                if pixels.shape != rgb.shape[1:]:
                    raise self._unreadable(f"a picture of shape {pixels.shape} for {rgb.shape[1:]}")
                restored[place] = pixels.astype(np.float32) / 255
                place += 1
        return restored

    def _unreadable(self, what):
        return error_of("DATA_LOSS", f"{self._transport.server} answered, but sent {what}.")


def split_target(target):
    """ "HOST:PORT" or "[IPv6]:PORT" to (host, port).

    Raises:
        ValueError: anything else.
    """
    host, _, port = str(target).rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_number = port.isascii() and port.isdigit() and len(port) <= 5
    if not bare or "/" in bare or (":" in bare and bare == host) or not is_number or not 0 < int(port) < 65536:
        raise ValueError(f"a server must be HOST:PORT, such as localhost:8501, got {target!r}")
    return bare, int(port)


def _open_transport(protocol, *arguments):
    # Each protocol's package is imported only where it is spoken.
    try:
        if protocol == "rest":
            from deblur_zoo.serving.client.rest import RestTransport

            return RestTransport(*arguments)
        if protocol == "grpc":
            from deblur_zoo.serving.client.grpc_transport import GrpcTransport

            return GrpcTransport(*arguments)
    except ImportError as error:
        raise ImportError(f"{protocol} needs the package {error.name}: pip install 'deblur-zoo[serving]'") from error
    raise ValueError(f"protocol must be {' or '.join(PROTOCOLS)}, got {protocol!r}")


def _check_whole(name, value, minimum, *also):
    if value in also:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def _is_8_bit(rgb):
    """Whether 8 bits hold float32 values exactly."""
    return bool((np.rint(255 * rgb).astype(np.uint8).astype(np.float32) / 255 == rgb).all())


def _requests(rgb, batch_size, signature):
    """Parts of a batch, each for one request."""
    _check_whole("batch_size", batch_size, 1)
    pixels = rgb.shape[1] * rgb.shape[2]
    count = max(1, min(batch_size, batch_size * _PIXELS_PER_PICTURE[signature] // pixels))
    return [rgb[start : start + count] for start in range(0, len(rgb), count)]
