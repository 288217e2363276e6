"""REST's JSON and arrays, by the rules of TensorFlow Serving's "Predict API" (api_rest.md; util/json_tensor.cc).

Row form: ``{"instances": [...]}`` -> ``{"predictions": [...]}``; column form: ``{"inputs": ...}`` ->
``{"outputs": ...}``. Strings are text, or ``{"b64": "..."}`` for bytes. On the way back, strings of an output whose
name ends in ``_bytes`` become ``{"b64": "..."}``; others are written as they are, even where they are no UTF-8, as
TensorFlow Serving writes them: read such an answer as Latin-1, and every character is a byte.
"""

import base64
import binascii
import json
import re

import numpy as np

from deblur_zoo.serving.server.errors import invalid
from deblur_zoo.serving.server.saved_model import data_type_name

# Words that NumPy would turn into numbers without a complaint.
_NO_NUMBER = re.compile(rb"\b(true|false|null)\b")
_BYTES_SUFFIX = "_bytes"
_MOST_TEXT = 200


def parse(body):
    """The JSON object of a request's body.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except RecursionError:
        raise invalid("JSON Parse error: Nested too deeply.") from None
    except ValueError as error:
        # Bytes that are no UTF-8, and numbers of thousands of digits.
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_text(document)} Is not object")
    if not isinstance(document.get("signature_name", ""), str):
        raise invalid(
            f"JSON Value: {_text(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return document


def read_inputs(document, body, inputs):
    """The arrays of a request.

    Args:
        document: what ``parse`` gave for the body.
        body: its ``bytes``.
        inputs: dict of name to ``saved_model.Input``, what the signature takes.

    Returns:
        dict of name to array, and whether the answer is wanted in row form.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    # A search through the bytes is quick; only where it finds one of the words is each value looked at.
    numbers_only = not _NO_NUMBER.search(body)
    rows, columns = "instances" in document, "inputs" in document
    if rows and columns:
        raise invalid(
            f"JSON Value: {_text(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist "
        )
    if rows:
        return _read_rows(document, inputs, numbers_only), True
    if columns:
        return _read_columns(document["inputs"], inputs, numbers_only), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _read_rows(document, inputs, numbers_only):
    instances = document["instances"]
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {_text(document)} Excepting 'instances' to be an list/array")
    if not instances:
        raise invalid(f"JSON Value: {_text(document)} No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_named(instances[0])
    for place, instance in enumerate(instances):
        if named and not _is_named(instance):
            raise invalid(f"Expecting object but got list at item {place} of input list")
        if not named and _is_named(instance):
            raise invalid(f"Expecting value/list but got object at item {place} of input list")
        if named and set(instance) != set(inputs):
            for name in set(instance) - set(inputs):
                raise invalid(
                    f"Failed to process element: {place} key: {name} of 'instances' list. Error: INVALID_ARGUMENT: "
                    f"JSON object: does not have named input: {name}"
                )
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. JSON object: {_text(instance)} keys must be "
                f"equal to: {','.join(sorted(inputs))}"
            )
    if not named:
        return {name: _to_array(instances, wanted, numbers_only) for name, wanted in inputs.items()}
    return {
        name: _to_array([instance[name] for instance in instances], wanted, numbers_only)
        for name, wanted in inputs.items()
    }


def _read_columns(value, inputs, numbers_only):
    if not _is_named(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {name: _to_array(value, wanted, numbers_only) for name, wanted in inputs.items()}
    for name in inputs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _to_array(value[name], wanted, numbers_only) for name, wanted in inputs.items()}


def _is_named(value):
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value):
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _to_array(value, wanted, numbers_only):
    """Nested lists as an array of the wanted type."""
    name = wanted.numpy_name
    if name is None:
        raise invalid(f"Conversion of JSON Value: {_text(value)} to type: {data_type_name(wanted.data_type)}")
    if name != "object" and numbers_only:
        array = _numbers(value, np.dtype(name))
        if array is not None:
            return array
    shape = _shape(value)
    leaves = []
    _walk(value, 0, shape, wanted.data_type, leaves)
    array = np.empty(len(leaves), object)
    array[:] = leaves
    return array.reshape(shape) if name == "object" else array.astype(name).reshape(shape)


def _numbers(value, dtype):
    """Lists of numbers as an array; None where they are not what they should be, and ``_walk`` shall say where."""
    try:
        found = np.array(value)
    except ValueError:
        # Lists of different lengths.
        return None
    if dtype.kind == "f" and found.dtype.kind in "iuf":
        finite = found[np.isfinite(found)] if found.dtype.kind == "f" else found
        return None if finite.size and np.abs(finite).max() > _largest(dtype, found.dtype) else found.astype(dtype)
    if dtype.kind in "iu" and found.dtype.kind in "iu":
        limits = np.iinfo(dtype)
        inside = not found.size or (int(found.min()) >= limits.min and int(found.max()) <= limits.max)
        return found.astype(dtype) if inside else None
    return None


def _largest(dtype, found):
    """The largest number that a float type takes without loss: of whole numbers those that it counts one by one."""
    return 2 ** (np.finfo(dtype).nmant + 1) - 1 if found.kind in "iu" else float(np.finfo(dtype).max)


def _shape(value):
    """The shape that the first element of each level says."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _walk(value, level, shape, data_type, leaves):
    """Collect the leaves of nested lists, and complain as TensorFlow Serving does."""
    if isinstance(value, list):
        if level >= len(shape):
            raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        if len(value) != shape[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
            )
        for child in value:
            _walk(child, level + 1, shape, data_type, leaves)
        return
    if level != len(shape):
        raise invalid(
            f"JSON Value: {_text(value)} found at incorrect level: {level + 1} in the JSON DOM. "
            f"Expected at level: {len(shape)}"
        )
    leaves.append(_leaf(value, data_type))


def _leaf(value, data_type):
    name = data_type_name(data_type)
    kind = np.dtype(dict(float="float32", double="float64", half="float16", string="object").get(name, name))
    if name == "string":
        if isinstance(value, dict):
            return _decode(value)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
    elif kind.kind == "b" and isinstance(value, bool):
        return value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if kind.kind == "f":
            largest = _largest(kind, np.dtype(type(value) if abs(value) < 2**63 else float))
            if abs(value) > largest and value not in (float("inf"), float("-inf")):
                raise invalid(f"Cannot convert JSON value: {_text(value)} to {name} without loss of precision.")
            return value
        if kind.kind in "iu" and isinstance(value, int) and np.iinfo(kind).min <= value <= np.iinfo(kind).max:
            return value
    word = {dict: "Object", str: "String", bool: str(value), type(None): "Null"}.get(type(value), "Number")
    raise invalid(f"JSON Value: {_text(value)} Type: {word} is not of expected type: {name}")


def _decode(value):
    if not _is_base64(value):
        raise invalid(f"JSON Value: {_text(value)} not formatted correctly for base64 data")
    text = value["b64"]
    try:
        # The padding may be left out.
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _text(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


def write_outputs(outputs, row_form):
    """The body of an answer.

    Args:
        outputs: dict of name to array.
        row_form: for ``instances``; otherwise for ``inputs``.

    Returns:
        bytes.

    Raises:
        ServingError: INVALID_ARGUMENT where the row form cannot hold them.
    """
    if row_form:
        sizes = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
        for name, size in sizes.items():
            first = next(iter(sizes.values()))
            if size is None:
                raise invalid(f"Tensor name: {name} has no shape information ")
            if size != first:
                raise invalid(f"Tensor name: {name} has inconsistent batch size: {size} expecting: {first}")
    lists = {name.encode().decode("latin-1"): _to_lists(name, array) for name, array in outputs.items()}
    if len(lists) == 1:
        (value,) = lists.values()
    elif row_form:
        value = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    else:
        value = lists
    # Every character stands for a byte.
    return json.dumps({"predictions" if row_form else "outputs": value}, ensure_ascii=False).encode("latin-1")


def _to_lists(name, array):
    if array.dtype != object:
        return array.tolist()
    leaves = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        data = array[place]
        if name.endswith(_BYTES_SUFFIX):
            leaves[place] = {"b64": base64.b64encode(data).decode("ascii")}
        else:
            leaves[place] = data.decode("latin-1")
    return leaves.tolist()
