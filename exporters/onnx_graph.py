"""Find operations that ONNX lacks, and keep image sizes integers, which tf2onnx passes through floats.

tf2onnx compares integers, and takes their minimum and maximum, as float32. A conversion to float16 would round image
sizes or overflow.
"""

import numpy as np
import onnx

COMPARISONS = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
_EXTREMES = ("Min", "Max")


def keep_whole_numbers(model):
    """Make operations on integers that are cast to float32 use the integers. Changes the model.

    Args:
        model: ``onnx.ModelProto``; opset 12 or later, whose Min and Max accept integers.

    Raises:
        ValueError: a cast of integers to float32 is left; the message names it.
    """
    graph = model.graph
    kinds = _element_types(model)
    constants = {constant.name: constant for constant in graph.initializer}
    casts = {node.output[0]: node for node in graph.node if _is_cast_to_float(node, kinds)}
    for node in graph.node:
        whole = {kinds[casts[name].input[0]] for name in node.input if name in casts}
        if node.op_type not in COMPARISONS + _EXTREMES or len(whole) != 1:
            continue
        if any(name not in casts and name not in constants for name in node.input):
            continue
        # The result of Min and Max must be wanted as whole numbers.
        users = [user for user in graph.node if node.output[0] in user.input]
        if node.op_type in _EXTREMES and any(user.op_type != "Cast" for user in users):
            continue
        dtype = onnx.helper.tensor_dtype_to_np_dtype(whole.pop())
        for place, name in enumerate(node.input):
            if name in casts:
                node.input[place] = casts[name].input[0]
            else:
                node.input[place] = _as_whole(graph, constants[name], dtype)
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    left = [node for name, node in casts.items() if name in used]
    if left:
        raise ValueError(f"tf2onnx passes integers through floats at {', '.join(node.name for node in left)}")
    for unused in [node for name, node in casts.items() if name not in used]:
        graph.node.remove(unused)
    for unused in [constant for name, constant in constants.items() if name not in used]:
        graph.initializer.remove(unused)
    # Types that were stored for the results of Min and Max are no longer true.
    del graph.value_info[:]


def unknown_operations(graph):
    """``type (name)`` of every node, in bodies of branches and loops too, that ONNX does not define."""
    found = []
    for node in graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            found.append(f"{node.op_type} ({node.name})")
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found += unknown_operations(inner)
    return found


def _element_types(model):
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    return kinds | {constant.name: constant.data_type for constant in graph.initializer}


def _is_cast_to_float(node, kinds):
    if node.op_type != "Cast" or kinds.get(node.input[0]) not in (onnx.TensorProto.INT32, onnx.TensorProto.INT64):
        return False
    return node.attribute[0].i == onnx.TensorProto.FLOAT


def _as_whole(graph, constant, dtype):
    """The name of a constant's integer copy; float32 has rounded the largest values up."""
    name = f"{constant.name}_{np.dtype(dtype).name}"
    if all(other.name != name for other in graph.initializer):
        limits = np.iinfo(dtype)
        # In whole numbers of Python, since a float cannot hold the largest int64.
        values = onnx.numpy_helper.to_array(constant)
        whole = [min(max(int(value), limits.min), limits.max) for value in values.ravel()]
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(whole, dtype).reshape(values.shape), name))
    return name
