"""REST's JSON and arrays, by the rules of TensorFlow Serving's "Predict API" (api_rest.md; util/json_tensor.cc).

Row form: ``{"instances": [...]}`` -> ``{"predictions": [...]}``; column form: ``{"inputs": ...}`` ->
``{"outputs": ...}``. Strings are text, or ``{"b64": "..."}`` for bytes. On the way back, strings of an output whose
name ends in ``_bytes`` become ``{"b64": "..."}``; others are written as they are, even if they are not UTF-8, as
TensorFlow Serving writes them: read such an answer as Latin-1, and every character is a byte.
"""

import base64
import io
import itertools
import json

import numpy as np

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE
from deblur_zoo.serving.server.errors import invalid

# Numbers, strings and lists in a body: Python takes up to 100 bytes for each. 40 faces of 128x128 are 2 million.
MOST_VALUES = 2_000_000
_MOST_LEVELS = 32
# By the kind of NumPy's type, what JSON may hold.
_ACCEPTED = {"O": {str, dict}, "f": {int, float}, "i": {int}, "u": {int}, "b": {bool}}
_WORDS = {str: "a string", dict: "an object", bool: "true or false", type(None): "null", float: "a fraction"}


def read(body, model):
    """The ``Signature`` of a request, dict of name to array, and whether the answer is wanted in row form.

    Args:
        body: its ``bytes``.
        model: ``SavedModel`` that it goes to.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    values = sum(map(body.count, (b",", b"[", b"{")))
    if values > MOST_VALUES:
        raise invalid(f"The body holds {values} values; up to {MOST_VALUES} are accepted: send files, or use gRPC")
    document = _parse(body)
    name = document.get("signature_name", FLOAT_SIGNATURE) or FLOAT_SIGNATURE
    signature = model.signatures.get(name) if isinstance(name, str) else None
    if signature is None:
        raise invalid(f'Serving signature name: "{str(name)[:100]}" not found in signature def')
    if ("instances" in document) == ("inputs" in document):
        raise invalid("Exactly one of the keys 'inputs' and 'instances' is expected")
    columns, expected = document.get("inputs"), ", ".join(signature.inputs)
    if row_form := "instances" in document:
        columns = document["instances"]
        if not isinstance(columns, list) or not columns:
            raise invalid("'instances' is expected to be a list with values in it")
        if any(map(_is_named, columns)):
            if not all(_is_named(row) and set(row) == set(signature.inputs) for row in columns):
                raise invalid(f"Each of 'instances' is expected to be an object with the inputs {expected}")
            columns = {name: [row[name] for row in columns] for name in signature.inputs}
    if not _is_named(columns):
        columns = {name: columns for name in signature.inputs} if len(signature.inputs) == 1 else {}
    if set(columns) != set(signature.inputs):
        raise invalid(f"An object with the inputs {expected} is expected, and with no other")
    return signature, {name: _to_array(name, columns[name], signature.inputs[name].dtype) for name in columns}, row_form


def _parse(body):
    def refuse(word):
        raise invalid(f"The body holds {word}; finite numbers are accepted")

    try:
        document = json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise invalid("JSON Parse error: Nested too deeply.") from None
    except ValueError as error:
        # Also for bytes that are not UTF-8, and numbers of thousands of digits.
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise invalid("JSON Value: the body is not an object")
    return document


def _is_named(value):
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value):
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _to_array(name, value, wanted):
    """Nested lists as an array of the wanted ``tf.DType``; level by level, since there may be millions of values."""
    shape, values = [], [value]
    while values and list in (kinds := set(map(type, values))):
        lengths = set(map(len, values)) if kinds == {list} else ()
        if len(lengths) != 1 or len(shape) == _MOST_LEVELS:
            raise invalid(f"The lists of the input {name} are of different lengths or depths, or nested too deeply")
        shape += lengths
        values = list(itertools.chain.from_iterable(values))
    dtype = np.dtype(wanted.as_numpy_dtype)
    if wrong := set(map(type, values)) - _ACCEPTED.get(dtype.kind, set()):
        raise invalid(f"The input {name} holds {_WORDS.get(wrong.pop(), 'a number')}; {wanted.name} is expected")
    if dtype.kind == "O":
        array = np.empty(len(values), object)
        array[:] = list(map(_to_bytes, values))
        return array.reshape(shape)
    if values and dtype.kind != "b":
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        low, high = np.array([limits.min, limits.max], dtype).tolist()
        if not low <= min(values) <= max(values) <= high:
            raise invalid(f"The input {name} holds a number beyond the range of {wanted.name}")
    return np.array(values, dtype).reshape(shape)


def _to_bytes(value):
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not _is_base64(value):
        raise invalid('Bytes are expected as {"b64": "..."}')
    try:
        # The padding may be left out.
        return base64.b64decode(value["b64"] + "=" * (-len(value["b64"]) % 4), validate=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def write(outputs, row_form):
    """The body of an answer, ``bytes``, of a dict of name to array.

    Args:
        row_form: for ``instances``; otherwise for ``inputs``.

    Raises:
        RequestError: INVALID_ARGUMENT where the row form cannot hold them.
    """
    if row_form and len({array.shape[:1] for array in outputs.values()} | {()}) != 2:
        raise invalid("The outputs have no first size in common; ask with 'inputs'")
    values = {
        name: _plain(array.tolist(), name.endswith("_bytes")) if array.dtype == object else array.tolist()
        for name, array in outputs.items()
    }
    content = values
    if len(values) == 1:
        (content,) = values.values()
    elif row_form:
        content = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    text = io.StringIO()
    # In pieces, between which other threads have their turn.
    json.dump({"predictions" if row_form else "outputs": content}, text, ensure_ascii=False)
    # Every character stands for a byte.
    return text.getvalue().encode("latin-1")


def _plain(value, encoded):
    """Nested lists with text, or objects of base64, in the place of ``bytes``."""
    if isinstance(value, list) and value and isinstance(value[0], list | bytes):
        return [_plain(one, encoded) for one in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if encoded else value.decode("latin-1")
    return value
