"""SavedModels of strangers: what could do more than compute is refused before TensorFlow loads it."""

import json

import keras
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are written by the TensorFlow backend", allow_module_level=True)

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import deblur_zoo
from deblur_zoo.exported import saved_model_folder
from deblur_zoo.exported.graph_operations import check_operations
from exporters import saved_model

PICTURES = tf.TensorSpec((None, None, None, 3), tf.float32, name="images")


def write(module, folder):
    """A SavedModel that says of itself what the exporters say."""
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.restore})
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "deblur_zoo.json").write_text(json.dumps({"format_version": 1, "preset": "evil"}))
    return folder


class WritesWhenCalled(tf.Module):
    def __init__(self, path):
        super().__init__()
        self.path = str(path)

    @tf.function(input_signature=[PICTURES])
    def restore(self, images):
        # In a branch, so in a function of its own.
        restored = tf.cond(tf.shape(images)[0] > 0, lambda: self.write(images), lambda: images)
        return {"restored": restored}

    def write(self, images):
        with tf.control_dependencies([tf.io.write_file(self.path, "written")]):
            return tf.identity(images)


class WritesWhenLoaded(tf.Module):
    def __init__(self, path):
        super().__init__()

        class Resource(tf.saved_model.experimental.TrackableResource):
            def _create_resource(self):
                return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="x")

            def _initialize(self):
                tf.io.write_file(str(path), "written")

        self.resource = Resource()
        assert self.resource.resource_handle is not None

    @tf.function(input_signature=[PICTURES])
    def restore(self, images):
        return {"restored": tf.identity(images)}


@pytest.mark.parametrize("module", [WritesWhenCalled, WritesWhenLoaded])
def test_file_operations_are_refused_before_they_run(tmp_path, module):
    mark = tmp_path / "mark"
    folder = write(module(mark), tmp_path / "evil")
    mark.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="evil is refused, since it (runs the operation WriteFile|holds an object)"):
        deblur_zoo.load(folder)
    assert not mark.exists()


@pytest.fixture
def honest(tiny_model, tmp_path):
    saved_model.write(tiny_model, tmp_path / "tiny")
    return tmp_path / "tiny"


def change(folder, alter):
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    alter(model)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())


def test_what_the_exporters_write_is_accepted(honest):
    check_operations(honest)


def call_the_saver(model):
    (graph,) = model.meta_graphs
    names = [function.signature.name for function in graph.graph_def.library.function]
    (saver,) = [name for name in names if "traced_save" in name]
    graph.object_graph_def.concrete_functions[saver].CopyFrom(
        next(iter(graph.object_graph_def.concrete_functions.values()))
    )


def read_in_a_gradient(model):
    library = model.meta_graphs[0].graph_def.library
    function = library.function.add()
    function.signature.name = "reads"
    function.node_def.add(name="read", op="ReadFile")
    library.gradient.add(function_name="x", gradient_func="reads")


def take_anothers_place(model):
    model.meta_graphs[0].graph_def.library.function[0].attr["api_implements"].s = b"x"


def be_of_tensorflow_1(model):
    model.meta_graphs[0].ClearField("object_graph_def")


@pytest.mark.parametrize(
    ("alter", "sentence"),
    [
        (call_the_saver, "runs the operation .*SaveV2"),
        (read_in_a_gradient, "runs the operation ReadFile"),
        (take_anothers_place, "could replace another"),
        (be_of_tensorflow_1, "is not a SavedModel of TensorFlow 2"),
    ],
)
def test_detours_to_files_are_refused(honest, alter, sentence):
    change(honest, alter)
    with pytest.raises(ValueError, match=sentence):
        saved_model_folder.open_runner(honest)


def test_one_flipped_bit_in_the_graph_is_found(honest):
    saved_model.write_information({"format_version": 1, "preset": "tiny"}, honest)
    content = bytearray((honest / "saved_model.pb").read_bytes())
    content[len(content) // 2] ^= 1
    (honest / "saved_model.pb").write_bytes(content)
    with pytest.raises(ValueError, match="damaged or was altered: the sha256 of saved_model.pb"):
        deblur_zoo.load(honest)
