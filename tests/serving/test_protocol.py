"""The declared messages against the public ones: stored bytes, and the real classes where they are installed."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deblur_zoo.serving import protocol

# Written by tensorflow-serving-api 2.21.0 and TensorFlow 2.21.0 (tf.make_tensor_proto).
WARM_UP = (
    "32470a450a1b0a086f6e655f737465701a0f73657276696e675f64656661756c7412260a06696d61676573121c0801121212020801"
    "12030880011203088001120208032a040000003f"
)
REQUEST = (
    "0a1e0a086f6e655f73746570120308ac021a0d73657276696e675f6279746573121e0a07656e636f64656412130807120412020802"
    "42036f6e65420489504e471a08726573746f726564"
)
RESPONSE = "0a220a08726573746f726564121608011208120208011202080222080000803e0000803f120b0a01612206737461626c65"
# Not in tensorflow-serving-api: numbers as in monitoring_config.proto and session_bundle_config.proto.
CONFIGURATION = {
    "PrometheusConfig": {"enable": 1, "path": 2},
    "MonitoringConfig": {"prometheus_config": 1},
    "BatchingParameters": {
        "max_batch_size": 1,
        "batch_timeout_micros": 2,
        "max_enqueued_batches": 3,
        "num_batch_threads": 4,
        "thread_pool_name": 5,
        "allowed_batch_sizes": 6,
        "pad_variable_length_inputs": 7,
    },
}


def messages():
    request = protocol.PredictRequest(
        model_spec=protocol.ModelSpec(name="one_step", signature_name="serving_default"),
        inputs={"images": protocol.filled_tensor(0.5, (1, 128, 128, 3))},
    )
    warm_up = protocol.PredictionLog(predict_log=protocol.PredictLog(request=request))
    second = protocol.PredictRequest(output_filter=["restored"])
    second.model_spec.name, second.model_spec.signature_name = "one_step", "serving_bytes"
    second.model_spec.version.value = 300
    second.inputs["encoded"].CopyFrom(protocol.to_tensor([b"one", b"\x89PNG"]))
    response = protocol.PredictResponse(model_spec=protocol.ModelSpec(name="a", version_label="stable"))
    response.outputs["restored"].CopyFrom(protocol.to_tensor(np.array([[0.25, 1]], np.float32)))
    return {WARM_UP: warm_up, REQUEST: second, RESPONSE: response}


@pytest.mark.parametrize("stored", [WARM_UP, REQUEST, RESPONSE])
def test_bytes_are_those_of_the_public_classes(stored):
    message = messages()[stored]
    assert message.SerializeToString(deterministic=True).hex() == stored
    assert type(message).FromString(bytes.fromhex(stored)) == message


@pytest.mark.parametrize("name", CONFIGURATION)
def test_configuration_has_the_public_numbers(name):
    descriptor = getattr(protocol, name).DESCRIPTOR
    assert descriptor.full_name == f"tensorflow.serving.{name}"
    assert {field.name: field.number for field in descriptor.fields} == CONFIGURATION[name]


def real(name):
    """The public class of that name."""
    if name.startswith("Tensor"):
        from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2

        return getattr(tensor_shape_pb2 if "Shape" in name else tensor_pb2, name)
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed (pip: --no-deps)")
    for module in ("model", "predict", "prediction_log", "get_model_metadata", "get_model_status"):
        module = importlib.import_module(f"tensorflow_serving.apis.{module}_pb2")
        if hasattr(module, name):
            return getattr(module, name)
    from tensorflow_serving.config import model_server_config_pb2

    return getattr(model_server_config_pb2, name)


NAMES = [
    *("TensorShapeProto", "TensorProto", "ModelSpec", "PredictRequest", "PredictResponse", "PredictLog"),
    *("PredictionLog", "ModelConfig", "ModelConfigList", "ModelServerConfig", "SignatureDefMap"),
    *("GetModelMetadataRequest", "GetModelMetadataResponse", "GetModelStatusRequest", "GetModelStatusResponse"),
    "ModelVersionStatus",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_declared_as_in_the_public_class(name):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

    def compare(ours, theirs):
        assert ours.full_name == theirs.full_name
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            for quality in ("number", "type", "is_repeated", "is_packed"):
                # Older protobuf has no is_repeated.
                assert getattr(field, quality, None) == getattr(other, quality, None), (field.full_name, quality)
            assert (field.containing_oneof and field.containing_oneof.name) == (
                other.containing_oneof and other.containing_oneof.name
            )
            if field.message_type is not None:
                assert field.message_type.full_name == other.message_type.full_name
                compare(field.message_type, other.message_type)
            if field.enum_type is not None:
                for value in field.enum_type.values:
                    assert other.enum_type.values_by_name[value.name].number == value.number

    compare(getattr(protocol, name).DESCRIPTOR, real(name).DESCRIPTOR)


def test_methods_are_those_of_the_public_stubs():
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed (pip: --no-deps)")
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    class Channel:
        """Writes down the paths that a stub asks for."""

        paths = set()

        def unary_unary(self, path, *_, **__):
            self.paths.add(path)

    prediction_service_pb2_grpc.PredictionServiceStub(Channel())
    model_service_pb2_grpc.ModelServiceStub(Channel())
    ours = {path for path in protocol.METHODS if path.startswith("/tensorflow")}
    assert len(ours) == 3 and ours <= Channel.paths


@pytest.mark.parametrize("ours_first", [True, False])
def test_the_public_classes_may_be_imported_too(ours_first):
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed (pip: --no-deps)")
    public = "from tensorflow_serving.apis import prediction_log_pb2, predict_pb2"
    lines = ["from deblur_zoo.serving import protocol", public]
    program = [
        *(lines if ours_first else lines[::-1]),
        f"log = prediction_log_pb2.PredictionLog.FromString(bytes.fromhex('{WARM_UP}'))",
        "ours = protocol.PredictionLog.FromString(log.SerializeToString())",
        "assert ours.predict_log.request.model_spec.name == log.predict_log.request.model_spec.name == 'one_step'",
        f"assert ours.SerializeToString(deterministic=True).hex() == '{WARM_UP}'",
    ]
    finished = subprocess.run(
        [sys.executable, "-c", "\n".join(program)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("dtype", sorted(protocol.DATA_TYPES))
def test_arrays_and_tensorflow_understand_each_other(dtype):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    array = (np.random.default_rng(0).random((2, 3, 1)) * 100).astype(dtype)
    public = tf.make_tensor_proto(array)
    tensor = protocol.to_tensor(array)
    # TensorFlow turns an array of more than one value into bytes, as we do; these two it lists.
    if dtype not in ("bool", "uint16"):
        assert tensor.SerializeToString() == public.SerializeToString()
    np.testing.assert_array_equal(protocol.to_array(protocol.TensorProto.FromString(public.SerializeToString())), array)
    listed = protocol.TensorProto(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape)
    values = array.view(np.uint16) if dtype == "float16" else array
    getattr(listed, protocol.DATA_TYPES[dtype][1]).extend(values.ravel().tolist())
    for form in (tensor, listed):
        read = protocol.to_array(form)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
        np.testing.assert_array_equal(tf.make_ndarray(type(public).FromString(form.SerializeToString())), array)


def test_strings_and_repeated_values():
    pictures = [b"\x89PNG\0", b""]
    assert protocol.to_array(protocol.to_tensor(pictures)).tolist() == pictures
    assert protocol.to_array(protocol.to_tensor([])).shape == (0,)
    square = np.array([[b"a", b"b"], [b"c", b"d"]], object)
    assert protocol.to_array(protocol.to_tensor(square)).tolist() == square.tolist()
    filled = protocol.to_array(protocol.filled_tensor(0.5, (2, 3)))
    np.testing.assert_array_equal(filled, np.full((2, 3), 0.5, np.float32))
    # A few bytes that claim 4 TB: no memory is taken for them.
    assert protocol.to_array(protocol.filled_tensor(0, (10**6, 10**6))).shape == (10**6, 10**6)


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"dtype": 1, "float_val": [1, 2], "tensor_shape": {"dim": [{"size": 3}]}}, "holds 2 values instead of 3"),
        ({"dtype": 1, "tensor_content": b"12345", "tensor_shape": {"dim": [{"size": 1}]}}, "whole number of float"),
        ({"dtype": 1, "float_val": [1], "tensor_shape": {"dim": [{"size": -1}]}}, "no known shape"),
        ({"dtype": 1, "float_val": [1], "tensor_shape": {"unknown_rank": True}}, "no known shape"),
        ({"dtype": 4, "int_val": [300], "tensor_shape": {"dim": [{"size": 1}]}}, "not uint8"),
        ({"dtype": 20, "tensor_shape": {"dim": [{"size": 1}]}}, "data type 20 are not read"),
    ],
)
def test_bad_tensors_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        protocol.to_array(protocol.TensorProto(**values))


def test_arrays_of_other_types_are_refused():
    with pytest.raises(ValueError, match="complex128 cannot be sent; .*float32"):
        protocol.to_tensor(np.ones(2, np.complex128))
