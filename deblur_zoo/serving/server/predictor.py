"""A request, from what it claims to hold to its answer: the part that REST and gRPC share."""

import contextlib
import itertools
import math

import numpy as np

from deblur_zoo.serving import protocol
from deblur_zoo.serving.server import pictures
from deblur_zoo.serving.server.errors import RequestError, invalid


class Predictor:
    """Checks requests and runs them; used in one event loop.

    Args:
        batcher: ``batching.Batcher``.
        settings: ``settings.Settings``.
    """

    def __init__(self, batcher, settings):
        self._batcher = batcher
        self._settings = settings
        self.held_bytes = 0

    @contextlib.contextmanager
    def account(self):
        """For the time of the block, gives a function that counts more bytes as held.

        It raises RequestError once the server holds too many: UNAVAILABLE, since the request may pass a moment later.
        """
        taken = 0

        def take(count):
            nonlocal taken
            if self.held_bytes + count > self._settings.max_held_bytes:
                raise RequestError("UNAVAILABLE", "The server holds too much; try again later (--max_held_bytes)")
            self.held_bytes += count
            taken += count

        try:
            yield take
        finally:
            self.held_bytes -= taken

    async def predict(self, model, signature, inputs, deadline):
        """Answer a request: a dict of output name to array.

        Args:
            model: ``SavedModel``.
            signature: its ``Signature``.
            inputs: mapping of name to ``protocol.TensorProto`` (from gRPC) or array (from REST).
            deadline: the event loop's time by which the client wants the answer, or None.

        Raises:
            RequestError: whatever is wrong.
        """
        wanted = signature.inputs
        if len(inputs) != len(wanted) or any(name not in wanted for name in inputs):
            # There may be a million of them.
            sent = ", ".join(itertools.islice(inputs, 5))
            raise invalid(f"The signature {signature.name} takes {', '.join(wanted) or 'nothing'}; sent was: {sent}")
        # What they claim, before memory is taken for it.
        shapes = {name: _claimed_shape(name, inputs[name], wanted[name]) for name in wanted}
        if signature.batchable and len({shape[0] for shape in shapes.values()}) > 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        pixels, arrays = 0, {}
        for name, spec in wanted.items():
            shape, most, strings = shapes[name], self._settings.max_batch_size, spec.dtype == "string"
            rows = math.prod(shape if strings else shape[:1])
            if (signature.batchable or strings) and rows > most:
                raise invalid(f"Task size {rows} is larger than maximum input batch size {most}")
            if not strings:
                # Every size but the last, where that is a fixed one.
                fixed = spec.shape.rank and spec.shape[-1] is not None
                pixels = self._add_pixels(pixels, math.prod(shape[:-1] if fixed else shape))
            arrays[name] = _array(name, inputs[name])
            if strings:
                files = np.empty(shape, object)
                for place, encoded in enumerate(arrays[name].flat):
                    size, files.flat[place] = pictures.examine(encoded, f"Item {place} of the input {name}")
                    pixels = self._add_pixels(pixels, size)
                arrays[name] = files
            elif not np.isfinite(arrays[name]).all():
                raise invalid(f"The input {name} holds NaN or infinity; finite numbers are accepted")
        return await self._batcher.run(model, signature, arrays, pixels, deadline)

    def _add_pixels(self, pixels, more):
        pixels, most = pixels + more, self._settings.max_pixels
        if pixels > most:
            raise invalid(f"The request's pictures have {pixels} pixels; up to {most} are accepted (--max_pixels)")
        return pixels


def _claimed_shape(name, value, wanted):
    """The shape that an input claims, where the signature takes it; ``wanted`` is its ``tf.TensorSpec``."""
    if isinstance(value, protocol.TensorProto):
        # Those of a shape of unknown rank, and more than anything has, do not fit.
        data_type, shape = value.dtype, tuple(dim.size for dim in value.tensor_shape.dim[:99])
    else:
        data_type, shape = wanted.dtype.as_datatype_enum, value.shape
    if data_type != wanted.dtype.as_datatype_enum:
        sent = protocol.DATA_TYPE_NAMES.get(data_type, data_type)
        raise invalid(f"The input {name} is of type {sent}, and {wanted.dtype.name} is expected")
    if min(shape, default=1) < 1 or not wanted.shape.is_compatible_with(shape):
        raise invalid(f"The input {name} has shape {list(shape)}; {wanted.shape} is expected, without empty sizes")
    return shape


def _array(name, value):
    try:
        return protocol.to_array(value) if isinstance(value, protocol.TensorProto) else value
    except ValueError as error:
        raise invalid(f"tensor parsing error: {name}: {error}") from None


def size(arrays):
    """Bytes in a dict of arrays, those of strings included."""
    strings = (array for array in arrays.values() if array.dtype == object)
    return sum(array.nbytes for array in arrays.values()) + sum(len(one) for array in strings for one in array.flat)
