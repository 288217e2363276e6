"""A request, from what it claims to hold to its answer: the part that REST and gRPC share."""

import asyncio
import itertools
import math

import numpy as np

from deblur_zoo.files.examination import examine
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import invalid


class Predictor:
    """Checks requests and has a ``Batcher`` run them; used in one event loop.

    ``room`` is to be held by a request from the time that it is read.
    """

    def __init__(self, batcher, settings):
        self._batcher, self._settings = batcher, settings
        # Requests that are in memory; the next ones wait before they are read.
        self.room = asyncio.Semaphore(settings.max_requests)

    async def predict(self, model, signature, inputs):
        """Answer a request: a dict of output name to array. Raises RequestError for whatever is wrong.

        Args:
            model, signature: ``SavedModel`` and its ``Signature``.
            inputs: mapping of name to ``protocol.TensorProto`` (from gRPC) or array (from REST).
        """
        try:
            arrays, pixels = self._check(signature, inputs)
        except ValueError as error:
            raise invalid(str(error)) from None
        return await self._batcher.run(model, signature, arrays, pixels)

    def _check(self, signature, inputs):
        """The arrays of a request, and how many pixels they hold."""
        wanted = signature.inputs
        if len(inputs) != len(wanted) or any(name not in wanted for name in inputs):
            # There may be a million of them.
            sent = ", ".join(itertools.islice(inputs, 5))
            raise ValueError(f"The signature {signature.name} takes {', '.join(wanted) or 'nothing'}; sent was: {sent}")
        # What they claim, before memory is taken for it.
        shapes = {name: _claimed_shape(name, inputs[name], wanted[name]) for name in wanted}
        if signature.batchable and len({shape[0] for shape in shapes.values()}) > 1:
            raise ValueError("Batching Run() input tensors must have equal 0th-dimension size")
        pixels, arrays = 0, {}
        for name, spec in wanted.items():
            shape, most, strings = shapes[name], self._settings.max_batch_size, spec.dtype == "string"
            rows = math.prod(shape if strings else shape[:1])
            if (signature.batchable or strings) and rows > most:
                raise ValueError(f"Task size {rows} is larger than maximum input batch size {most}")
            if not strings:
                # Every size but the last, where that is a fixed one.
                fixed = spec.shape.rank and spec.shape[-1] is not None
                pixels = self._add_pixels(pixels, math.prod(shape[:-1] if fixed else shape))
            value = inputs[name]
            arrays[name] = protocol.to_array(value) if isinstance(value, protocol.TensorProto) else value
            if strings:
                files = np.empty(shape, object)
                for place, encoded in enumerate(arrays[name].flat):
                    size, files.flat[place] = examine(encoded, f"Item {place} of the input {name}")
                    if not size:
                        raise ValueError(f"Item {place} of the input {name} is not an intact JPEG or PNG file")
                    pixels = self._add_pixels(pixels, size)
                arrays[name] = files
            elif not np.isfinite(arrays[name]).all():
                raise ValueError(f"The input {name} holds NaN or infinity; finite numbers are accepted")
        return arrays, pixels

    def _add_pixels(self, pixels, more):
        pixels, most = pixels + more, self._settings.max_pixels
        if pixels > most:
            raise ValueError(f"The request's pictures have {pixels} pixels; up to {most} are accepted (--max_pixels)")
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
        raise ValueError(f"The input {name} is of type {sent}, and {wanted.dtype.name} is expected")
    if min(shape, default=1) < 1 or not wanted.shape.is_compatible_with(shape):
        raise ValueError(f"The input {name} has shape {list(shape)}; {wanted.shape} is expected, without empty sizes")
    return shape
