"""Files of every lite preset hold only what GPUs of phones run: four dimensions, and operators that the delegate takes.

The delegate's own list of operators is asked, through TensorFlow's analyzer of TFLite files.
"""

import io
from contextlib import redirect_stdout

import pytest

keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("TFLite files are written by the TensorFlow backend", allow_module_level=True)
pytest.importorskip("ai_edge_litert", reason="the TFLite interpreter is not installed")

import tensorflow as tf  # noqa: E402
from tensorflow.lite.python import schema_py_generated as schema  # noqa: E402

from deblur_zoo import zoo  # noqa: E402
from deblur_zoo.zoo import presets  # noqa: E402
from exporters import tflite_model  # noqa: E402
from tests.small_presets import small_config  # noqa: E402

LITE = zoo.list_models("*_lite")


def wide_tensors(content):
    """Names and shapes of a file's tensors of more than four dimensions."""
    file = schema.Model.GetRootAsModel(content, 0)
    graphs = map(file.Subgraphs, range(file.SubgraphsLength()))
    tensors = [tensor for graph in graphs for tensor in map(graph.Tensors, range(graph.TensorsLength()))]
    assert len(tensors) > 20
    return [(tensor.Name(), tensor.ShapeAsNumpy()) for tensor in tensors if tensor.ShapeLength() > 4]


def refused(content):
    """What the GPU delegate does not take."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        tf.lite.experimental.Analyzer.analyze(model_content=content, gpu_compatibility=True)
    lines = [line for line in printed.getvalue().splitlines() if "GPU COMPATIBILITY WARNING" in line]
    assert lines or "looks compatible with GPU delegate" in printed.getvalue()
    return lines


def check(model, side):
    with tflite_model.saved_for_one_size(model, side, side) as saved:
        content = tflite_model.convert(saved, "float16")
    assert wide_tensors(content) == []
    assert refused(content) == []


@pytest.mark.parametrize("name", LITE)
def test_a_narrow_network_of_each_preset_runs_whole_on_a_gpu(name):
    check(presets.build_model(small_config(name)), 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", LITE)
def test_each_preset_runs_whole_on_a_gpu(name):
    check(zoo.load(name, weights=name in zoo.list_models(trained=True)), 128)


def test_what_a_gpu_does_not_run_is_found():
    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3))])
    def stacked(images):
        return tf.reshape(tf.stack([images, 2 * images, tf.floor(images)], axis=3) + 1.0, (1, 4, 12, 3))

    many = tf.function(lambda x: tf.cumsum(x, axis=1), input_signature=[tf.TensorSpec((1, 4, 4, 3))])
    converted = [
        tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert()
        for function in (stacked, many)
    ]
    file = schema.Model.GetRootAsModel(converted[0], 0).Subgraphs(0)
    assert any(file.Tensors(i).ShapeLength() == 5 for i in range(file.TensorsLength()))
    assert refused(converted[1])
