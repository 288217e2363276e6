"""The operations that a SavedModel may run: those of networks and of image files in memory.

A SavedModel is a program. TensorFlow has operations that read and write files, open connections or call Python, and
some run as soon as a model is loaded. Our exports need none of them.
"""

from pathlib import Path

from google.protobuf.message import DecodeError

# The networks of this project need about sixty of these; similar ones are listed for new layers and other versions of
# TensorFlow.
ALLOWED = frozenset(
    """
    Abs Add AddN AddV2 All Any ArgMax ArgMin Assert AssignAddVariableOp AssignSubVariableOp AssignVariableOp AvgPool
    BatchMatMul BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd BiasAddV1 Bitcast BroadcastArgs BroadcastTo Cast Ceil
    ClipByValue Concat ConcatOffset ConcatV2 Const Conv Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Cos Cumsum
    DecodeImage DecodeJpeg DecodePng DepthToSpace DepthwiseConv2dNative DepthwiseConv2dNativeBackpropInput
    DisableCopyOnRead Div DivNoNan Einsum Elu EncodeJpeg EncodePng EnsureShape Equal Erf Exp ExpandDims Fill Floor
    FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual
    Identity IdentityN If L2Loss LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul
    Max MaxPool MaxPoolV2 Maximum Mean Min Minimum MirrorPad Mod Mul MulNoNan Neg NoOp NotEqual OneHot OnesLike Pack Pad
    PadV2 PartitionedCall Placeholder PlaceholderWithDefault Pow PreventGradient Prod Range Rank ReadVariableOp Real
    RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor Reverse
    ReverseV2 Roll Round Rsqrt ScatterNd Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin Size Slice Softmax Softplus
    Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall
    StatelessIf StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormalV2 StatelessRandomUniformIntV2
    StatelessRandomUniformV2 StatelessTruncatedNormalV2 StatelessWhile StopGradient StridedSlice Sub Substr Sum Tanh
    TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve TensorListSetItem TensorListStack Tile
    TopKV2 Transpose TruncateDiv Unpack VarHandleOp VarIsInitializedOp VariableShape Where While ZerosLike
    """.split()
)
# Objects of a SavedModel that have values and functions. Others, such as tables, run functions on loading.
_OBJECTS = frozenset(("user_object", "variable", "function", "bare_concrete_function", "constant"))
_USER_OBJECTS = frozenset(("_generic_user_object", "trackable_list_wrapper", "trackable_dict_wrapper", "signature_map",
                           "trackable_tuple_wrapper"))  # fmt: skip


def check_operations(folder):
    """Check a SavedModel's graph for operations that could do more than compute.

    The two functions that save and restore variables, which every SavedModel has, may use files: TensorFlow loads a
    model without them. They are rejected if any function that can be called reaches them.

    Args:
        folder: with ``saved_model.pb``.

    Raises:
        ValueError: an operation or object that is not allowed, or a file that is not a SavedModel of TensorFlow 2.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(Path(folder, "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError(f"its saved_model.pb is damaged: {error}") from None
    # TensorFlow runs other files as in TensorFlow 1: everything at once.
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise ValueError("it is not a SavedModel of TensorFlow 2")
    (graph,) = model.meta_graphs
    for node in graph.object_graph_def.nodes:
        kind, identifier = node.WhichOneof("kind"), node.user_object.identifier
        if kind not in _OBJECTS or (kind == "user_object" and identifier not in _USER_OBJECTS):
            raise ValueError(f"it holds an object of the kind {identifier or kind}, which the exporters do not write")
        if node.saveable_objects or node.registered_saver:
            raise ValueError("it contains an object with its own restore function")
    forbidden = sorted(_called(graph) - ALLOWED)
    if forbidden:
        raise ValueError(f"it runs the operation {', '.join(forbidden[:3])}, which could do more than compute")


def _called(graph):
    """Names of the operations of every function that can be called, directly or through others."""
    library = {function.signature.name: function for function in graph.graph_def.library.function}
    # TensorFlow may substitute one function for another that allows it.
    if any("api_implements" in function.attr for function in library.values()):
        raise ValueError("it contains a function that could replace another one")
    waiting = list(graph.object_graph_def.concrete_functions)
    waiting += [name for node in graph.object_graph_def.nodes for name in node.function.concrete_functions]
    waiting += [node.bare_concrete_function.concrete_function_name for node in graph.object_graph_def.nodes]
    waiting += [gradient.gradient_func for gradient in graph.graph_def.library.gradient]
    seen, operations = set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in library:
            continue
        seen.add(name)
        for node in library[name].node_def:
            # A function may be called as if it were an operation.
            if node.op in library:
                waiting.append(node.op)
            else:
                operations.add(node.op)
            for value in node.attr.values():
                waiting += [value.func.name, *(function.name for function in value.list.func)]
    return operations
