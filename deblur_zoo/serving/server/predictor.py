"""A request, from what it claims to hold to its answer: the part that REST and gRPC share."""

import math

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server import pictures
from deblur_zoo.serving.server.errors import ServingError, invalid
from deblur_zoo.serving.server.saved_model import data_type_name


class Predictor:
    """Checks requests and runs them.

    Args:
        batcher: ``batching.Batcher``.
        max_pixels: of a request.
    """

    def __init__(self, batcher, max_pixels):
        self._batcher = batcher
        self._max_pixels = max_pixels

    async def predict(self, model, signature_name, inputs, output_filter, deadline):
        """Answer a request.

        Args:
            model: ``SavedModel``.
            signature_name: "" for the default one.
            inputs: dict of name to ``protocol.TensorProto`` (from gRPC) or array (from REST).
            output_filter: names of the outputs wanted; empty for all.
            deadline: time.monotonic() by which the client wants the answer, or None.

        Returns:
            dict of output name to array.

        Raises:
            ServingError: whatever is wrong.
        """
        signature = model.signatures.get(signature_name or FLOAT_SIGNATURE)
        if signature is None:
            raise ServingError(
                "FAILED_PRECONDITION", f'Serving signature key "{signature_name or FLOAT_SIGNATURE}" not found.'
            )
        _check_names(signature, inputs)
        wanted = _wanted(signature, output_filter)
        arrays, pixels = {}, 0
        for place, (name, value) in enumerate(sorted(inputs.items())):
            arrays[name], count = self._read(signature, place, name, value)
            pixels += count
            pictures.check_pixels(pixels, self._max_pixels)
        if signature.batchable and len({len(array) for array in arrays.values()}) > 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        answer = await self._batcher.run(model, signature, arrays, pixels, deadline)
        return {name: answer[name] for name in wanted}

    def _read(self, signature, place, name, value):
        """An input as an array, and the pixels in it. What it claims is checked before memory is taken for it."""
        wanted = signature.inputs[name]
        if isinstance(value, protocol.TensorProto):
            data_type = value.dtype
            shape = tuple(dim.size for dim in value.tensor_shape.dim)
            if value.tensor_shape.unknown_rank or min(shape, default=0) < 0:
                raise invalid(f"tensor parsing error: {name}")
        else:
            data_type = protocol.to_tensor(value[:0] if value.ndim else value).dtype
            shape = value.shape
        if data_type != wanted.data_type:
            raise invalid(
                f"Expects arg[{place}] to be {data_type_name(wanted.data_type)} but "
                f"{data_type_name(data_type)} is provided"
            )
        if not wanted.accepts(shape):
            raise invalid(
                f"The input {name} has shape {_shape_text(shape)}, and the signature {signature.name} takes "
                f"{_shape_text(wanted.shape)}"
            )
        if math.prod(shape) == 0:
            raise invalid(f"The input {name} of shape {_shape_text(shape)} is empty")
        pixels = 0
        if wanted.data_type != protocol.STRING:
            pixels = wanted.pixels(shape)
            pictures.check_pixels(pixels, self._max_pixels)
        array = value
        if isinstance(value, protocol.TensorProto):
            try:
                array = protocol.to_array(value)
            except ValueError as error:
                raise invalid(f"tensor parsing error: {name}: {error}") from None
        if wanted.data_type == protocol.STRING:
            pixels = pictures.check_files(array.flat, signature.name, name, self._max_pixels)
        return array, pixels


def _check_names(signature, inputs):
    """The wording of TensorFlow Serving's predict_util.cc."""
    if len(inputs) != len(signature.inputs):
        extra, missing = set(inputs) - set(signature.inputs), set(signature.inputs) - set(inputs)
        raise invalid(
            f"input size does not match signature: {len(inputs)}!={len(signature.inputs)} "
            f"len({_names(inputs)}) != len({_names(signature.inputs)}). Sent extra: {_names(extra)}. "
            f"Missing but required: {_names(missing)}."
        )
    for name in sorted(inputs):
        if name not in signature.inputs:
            raise invalid(
                f"input tensor alias not found in signature: {name}. Inputs expected to be in the set "
                f"{_names(signature.inputs)}."
            )


def _wanted(signature, output_filter):
    for place, name in enumerate(output_filter):
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{_names(signature.outputs)}."
            )
        if name in output_filter[:place]:
            raise invalid(f"duplicate output tensor alias: {name}")
    return list(output_filter) or list(signature.outputs)


def _names(names):
    return "{" + ",".join(sorted(names)) + "}"


def _shape_text(shape):
    return "[" + ",".join(map(str, shape)) + "]"
