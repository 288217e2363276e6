"""Files of every lite preset hold only what GPUs of phones run: four dimensions, and operators that the delegate takes.

TensorFlow's analyzer of TFLite files does not serve: it calls files compatible that hold tensors of five dimensions.
"""

import pytest

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("TFLite files are written by the TensorFlow backend", allow_module_level=True)
pytest.importorskip("ai_edge_litert", reason="the TFLite interpreter is not installed")

import tensorflow as tf  # noqa: E402
from tensorflow.lite.python import schema_py_generated as schema  # noqa: E402

from deblur_zoo import zoo  # noqa: E402
from deblur_zoo.zoo import presets  # noqa: E402
from exporters import tflite_conversion  # noqa: E402
from tests.small_presets import small_config  # noqa: E402

# What LiteRT's GPU delegate has a rule for, of what image networks use (its file model_builder.cc).
TAKEN = set(
    "ABS ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV EXP FULLY_CONNECTED HARD_SWISH "
    "LEAKY_RELU LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG PAD POW PRELU RELU RELU6 RESHAPE "
    "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE "
    "SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV".split()
)
LITE = zoo.list_models("*_lite")


def wide_tensors(content):
    """Names and shapes of a file's tensors of more than four dimensions."""
    file = schema.Model.GetRootAsModel(content, 0)
    graphs = map(file.Subgraphs, range(file.SubgraphsLength()))
    tensors = [tensor for graph in graphs for tensor in map(graph.Tensors, range(graph.TensorsLength()))]
    assert len(tensors) > 20
    return [(tensor.Name(), tensor.ShapeAsNumpy()) for tensor in tensors if tensor.ShapeLength() > 4]


def refused(content):
    """Names of a file's operators that are not in ``TAKEN``."""
    file = schema.Model.GetRootAsModel(content, 0)
    codes = {file.OperatorCodes(index).BuiltinCode() for index in range(file.OperatorCodesLength())}
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    return sorted({names[code] for code in codes} - TAKEN)


def check(model, side):
    with tflite_conversion.saved_for_one_size(model, side, side) as saved:
        content = tflite_conversion.convert(saved, "float16")
    assert wide_tensors(content) == []
    assert refused(content) == []


# Those whose conversion takes longest are left to the next test.
@pytest.mark.parametrize("name", [name for name in LITE if name not in ("umsn_lite", "two_step_gan_lite")])
def test_a_narrow_network_runs_whole_on_a_gpu(name):
    check(presets.build_model(small_config(name)), 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", LITE)
def test_each_preset_runs_whole_on_a_gpu(name):
    check(zoo.load(name, weights=name in zoo.list_models(trained=True)), 128)


def test_what_a_gpu_does_not_run_is_found():
    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3))])
    def stacked(images):
        return tf.reshape(tf.stack([images, 2 * images, tf.floor(images)], axis=3) + 1.0, (1, 4, 12, 3))

    many = tf.function(
        lambda x: tf.math.floor(x) + tf.math.top_k(x, 2)[0][..., :1], input_signature=[tf.TensorSpec((1, 4, 4, 3))]
    )
    converted = [
        tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert()
        for function in (stacked, many)
    ]
    file = schema.Model.GetRootAsModel(converted[0], 0).Subgraphs(0)
    assert any(file.Tensors(i).ShapeLength() == 5 for i in range(file.TensorsLength()))
    assert "TOPK_V2" in refused(converted[1])
