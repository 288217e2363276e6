import keras
import numpy as np
import pytest
from keras import ops
from scipy import signal

from deblur_zoo.features.vgg import VGG, kernel_shapes, layer_names
from deblur_zoo.features.vgg_face import VGGFace

TINY = (4, 5, 6, 7, 8)


def by_scipy(image, convolutions, name):
    """An activation of one image that the network already converted, layer by layer in float64."""
    x = image.astype(np.float64)
    for conv, (kernel, bias) in convolutions.items():
        if conv[4] != "1" and conv.endswith("_1"):
            height, width = x.shape[0] // 2, x.shape[1] // 2
            x = x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).max(axis=(1, 3))
            if name == f"pool{int(conv[4]) - 1}":
                return x
        x = np.stack(
            [
                sum(
                    signal.correlate2d(x[..., i], kernel[..., i, o].astype(np.float64), mode="same")
                    for i in range(x.shape[-1])
                )
                + bias[o]
                for o in range(kernel.shape[-1])
            ],
            axis=-1,
        )
        if name == conv:
            return x
        x = np.maximum(x, 0)
        if name == conv.replace("conv", "relu"):
            return x
    height, width = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).max(axis=(1, 3))


# Red, green and blue of a picture as each file's network wants them, worked out by hand.
def caffe(rgb):
    red, green, blue = np.moveaxis(rgb * 255.0, -1, 0)
    return np.stack([blue - 103.939, green - 116.779, red - 123.68], -1)


def torchvision(rgb):
    red, green, blue = np.moveaxis(rgb, -1, 0)
    return np.stack([(red - 0.485) / 0.229, (green - 0.456) / 0.224, (blue - 0.406) / 0.225], -1)


def face_matconvnet(rgb):
    red, green, blue = np.moveaxis(rgb * 255.0, -1, 0)
    return np.stack([red - 129.1863, green - 104.7624, blue - 93.594], -1)


def face_keras(rgb):
    return face_matconvnet(rgb)[..., ::-1]


def written(tmp_path, writers, layout, depth=16, convolutions=None, **options):
    """A file in one of the layouts, and its convolutions."""
    convolutions = convolutions or writers.random_convolutions(depth)
    path = tmp_path / {"keras": "w.h5", "face": "f.h5", "mat": "f.mat", "npz": "w.npz"}.get(layout, "w.safetensors")
    if layout == "keras":
        writers.write_keras_h5(path, convolutions, writers.block_name, **options)
    elif layout == "face":
        writers.write_keras_h5(path, convolutions, **options)
    elif layout == "mat":
        writers.write_matconvnet(path, convolutions, **options)
    elif layout == "npz":
        np.savez(path, **writers.state_dict(depth, convolutions))
    else:
        writers.write_safetensors(path, writers.state_dict(depth, convolutions), **options)
    return path, convolutions


def check(network, images, converted, convolutions, names):
    activations = network.features(images)
    assert list(activations) == list(names)
    for name in names:
        expected = np.stack([by_scipy(image, convolutions, name) for image in converted])
        # Float32 sums of up to 72 products, up to 16 layers deep, on values of order 100.
        np.testing.assert_allclose(
            ops.convert_to_numpy(activations[name]), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
        )
        assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize(
    "layout,depth,conversion",
    [("keras", 19, caffe), ("keras", 16, caffe), ("safetensors", 19, torchvision), ("npz", 16, torchvision)],
)
def test_vgg_equals_scipy(tmp_path, writers, images, layout, depth, conversion):
    path, convolutions = written(tmp_path, writers, layout, depth)
    names = ["relu1_2", "conv2_1", "pool2", "relu3_3", "pool5"]
    network = VGG(depth, path, names, widths=TINY)
    assert network.minimum_size == 32
    check(network, images, conversion(images), convolutions, names)


@pytest.mark.parametrize(
    "layout,options,conversion",
    [
        ("mat", {}, face_matconvnet),
        ("mat", {"side_by_side": True}, face_matconvnet),
        ("mat", {"old_names": True}, face_matconvnet),
        ("face", {}, face_keras),
        ("face", {"top": ["fc6", "fc8"]}, face_keras),
    ],
)
def test_vgg_face_equals_scipy(tmp_path, writers, images, layout, options, conversion):
    path, convolutions = written(tmp_path, writers, layout, **options)
    names = ["relu1_2", "pool2", "pool5"]
    check(VGGFace(path, names, widths=TINY), images, conversion(images), convolutions, names)


def test_odd_sizes_leave_the_last_row_out_and_only_what_is_asked_for_is_computed(tmp_path, writers, images):
    path, convolutions = written(tmp_path, writers, "keras")
    network = VGG(16, path, ["block2_conv1", "pool1"], widths=TINY)
    odd = images[:, :7, :9]
    activations = network.features(odd)
    assert activations["pool1"].shape == (2, 3, 4, 4)
    expected = np.stack([by_scipy(image, convolutions, "relu2_1") for image in caffe(odd)])
    np.testing.assert_allclose(ops.convert_to_numpy(activations["block2_conv1"]), expected, rtol=1e-3, atol=1e-2)
    assert network.minimum_size == 2
    with pytest.raises(ValueError, match=r"2x2 pixels, got \(2, 1, 9, 3\)"):
        network.features(images[:, :1, :9])


def test_weights_in_bfloat16_and_float16_are_read(tmp_path, writers, images):
    convolutions = writers.random_convolutions()
    # The upper 16 bits of a float32, and float16: what is left must be what is computed with.
    cut = {
        n: tuple((a.view(np.uint32) & 0xFFFF0000).view(np.float32) for a in arrays)
        for n, arrays in convolutions.items()
    }
    path, _ = written(tmp_path, writers, "safetensors", convolutions=convolutions, dtype="BF16")
    check(VGG(16, path, ["relu1_2"], widths=TINY), images, torchvision(images), cut, ["relu1_2"])
    half = {n: tuple(a.astype(np.float16) for a in arrays) for n, arrays in convolutions.items()}
    path, _ = written(tmp_path, writers, "npz", convolutions=half)
    check(VGG(16, path, ["relu1_2"], widths=TINY), images, torchvision(images), half, ["relu1_2"])


def test_a_whole_model_by_keras_applications_in_full_width(tmp_path, images):
    # The real names and shapes, and the activations and input conversion of an independent implementation.
    keras.utils.set_random_seed(0)
    theirs = keras.applications.VGG19(include_top=False, weights=None, input_shape=(32, 40, 3))
    for layer in theirs.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, bias + 0.01])
    theirs.save(tmp_path / "vgg19.h5")
    names = ["block1_conv1", "block3_conv3", "block5_conv4", "block5_pool"]
    ours = VGG(19, tmp_path / "vgg19.h5", names).features(images)
    converted = keras.applications.vgg19.preprocess_input(images * 255.0)
    outputs = keras.Model(theirs.inputs[0], [theirs.get_layer(name).output for name in names])(converted)
    for name, expected in zip(names, map(ops.convert_to_numpy, outputs), strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(ours[name]), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max()
        )


def test_shapes_and_names_are_those_of_keras_applications():
    for blocks, network_class in (((2, 2, 3, 3, 3), "VGG16"), ((2, 2, 4, 4, 4), "VGG19")):
        theirs = getattr(keras.applications, network_class)(include_top=False, weights=None)
        kernels = [tuple(layer.kernel.shape) for layer in theirs.layers if layer.weights]
        assert list(kernel_shapes(blocks).values()) == kernels
        originals = [name for name in layer_names(blocks) if not name.startswith("conv")]
        assert len(originals) == len(theirs.layers) - 1


def test_imagenet_is_what_keras_applications_gives(writers, images, monkeypatch):
    convolutions = writers.random_convolutions(19)

    def stand_in(include_top, weights):
        assert (include_top, weights) == (False, "imagenet")
        x = inputs = keras.Input((None, None, 3))
        for name, (kernel, _) in convolutions.items():
            x = keras.layers.Conv2D(kernel.shape[-1], 3, name=writers.block_name(name))(x)
        model = keras.Model(inputs, x)
        for name, arrays in convolutions.items():
            model.get_layer(writers.block_name(name)).set_weights(arrays)
        return model

    monkeypatch.setattr(keras.applications, "VGG19", stand_in)
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float16")
    try:
        network = VGG(19, "imagenet", ["relu3_3"])
        check(network, images, caffe(images), convolutions, ["relu3_3"])
        assert keras.config.dtype_policy().name == "float16"
    finally:
        keras.config.set_dtype_policy(previous)

    def no_network(include_top, weights):
        raise Exception("URL fetch failure:\n  no route")

    monkeypatch.setattr(keras.applications, "VGG19", no_network)
    with pytest.raises(ValueError, match="downloaded .*no route.*vgg19_weights"):
        VGG(19, "imagenet", ["relu3_3"])


def test_precision_is_what_was_asked_for(tmp_path, writers, images):
    path, convolutions = written(tmp_path, writers, "keras")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = VGG(16, path, ["relu3_1"], widths=TINY)
        check(network, images, caffe(images), convolutions, ["relu3_1"])
    finally:
        keras.config.set_dtype_policy("float32")
    fast = VGG(16, path, ["relu3_1"], widths=TINY, dtype="mixed_bfloat16").features(images)["relu3_1"]
    exact = ops.convert_to_numpy(network.features(images)["relu3_1"])
    assert fast.dtype == "float32" and not np.array_equal(ops.convert_to_numpy(fast), exact)
    np.testing.assert_allclose(ops.convert_to_numpy(fast), exact, atol=0.05 * exact.max())


def test_gradient_reaches_the_images_and_no_weight_trains(tmp_path, writers, images, slope):
    path, _ = written(tmp_path, writers, "keras")
    # conv1_1 is linear: the gradient of its sum is the kernel summed over outputs, and within the image the same
    # everywhere, times 255, in reversed channel order.
    network = VGG(16, path, ["conv1_1"], widths=TINY)
    kernel = writers.random_convolutions()["conv1_1"][0]
    gradient = slope(lambda x: network.features(x)["conv1_1"], images)
    np.testing.assert_allclose(gradient[0, 5, 5], 255 * kernel.sum(axis=(0, 1, 3))[::-1], rtol=1e-4)
    deep = VGG(16, path, ["pool5"], widths=TINY)
    assert np.all(np.isfinite(slope(lambda x: deep.features(x)["pool5"], images)))
    assert deep._network.trainable_variables == []


def failing(kind, tmp_path, writers, **changes):
    convolutions = {**writers.random_convolutions(), **changes}
    return written(tmp_path, writers, kind, convolutions={n: c for n, c in convolutions.items() if c is not None})[0]


@pytest.mark.parametrize("layout,name", [("keras", "block4_conv2"), ("npz", "features.19"), ("mat", "conv4_2")])
def test_every_tensor_is_checked(tmp_path, writers, layout, name):
    network = (lambda path: VGGFace(path, ["pool1"], widths=TINY)) if layout == "mat" else None
    network = network or (lambda path: VGG(16, path, ["pool1"], widths=TINY))
    kernel, bias = writers.random_convolutions()["conv4_2"]
    # Far behind the layer that is asked for.
    for change, sentence in (
        ((kernel[..., :6], bias), rf"{name} .*\[\(3, 3, 7, 7\), \(7,\)\], got \[\(3, 3, 7, 6\), \(7,\)\]"),
        ((kernel.transpose(3, 2, 0, 1), bias), f"{name} .*shapes"),
        ((kernel * np.nan, bias), f"{name} .*finite"),
    ):
        with pytest.raises(ValueError, match=f"VGG.*{sentence}"):
            network(failing(layout, tmp_path, writers, conv4_2=change))


def test_files_of_another_network_are_refused(tmp_path, writers):
    deeper, _ = written(tmp_path, writers, "keras", 19)
    with pytest.raises(ValueError, match="VGG-16: .*block3_conv4"):
        VGG(16, deeper, ["pool1"], widths=TINY)
    shallower, _ = written(tmp_path, writers, "keras", 16)
    with pytest.raises(ValueError, match="VGG-19: .*block3_conv4"):
        VGG(19, shallower, ["pool1"], widths=TINY)
    with pytest.raises(ValueError, match="VGG-Face: .*conv1_1"):
        VGGFace(shallower, ["pool1"], widths=TINY)
    with pytest.raises(ValueError, match="conv4_2"):
        VGGFace(failing("mat", tmp_path, writers, conv4_2=None), ["pool1"], widths=TINY)
    # torchvision's variant with batch normalisation.
    tensors = writers.state_dict(16, writers.random_convolutions())
    np.savez(tmp_path / "bn.npz", **tensors, **{"features.1.weight": np.ones(4), "features.1.bias": np.ones(4)})
    with pytest.raises(ValueError, match="features.1.bias"):
        VGG(16, tmp_path / "bn.npz", ["pool1"], widths=TINY)


def test_broken_files_give_one_clear_sentence(tmp_path, writers):
    with pytest.raises(FileNotFoundError, match="VGG-19 .*missing.h5"):
        VGG(19, tmp_path / "missing.h5", ["pool1"])
    for name in ("vgg19-dcbb9e9d.pth", "vgg.pt"):
        (tmp_path / name).write_bytes(b"PK")
        with pytest.raises(ValueError, match=f"{name} .*pickle.*save_file"):
            VGG(19, tmp_path / name, ["pool1"])
    (tmp_path / "vgg.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match=".h5 or .safetensors or .npz, got vgg.onnx"):
        VGG(19, tmp_path / "vgg.onnx", ["pool1"])
    for name in ("a.h5", "a.npz", "a.safetensors"):
        (tmp_path / name).write_text("hello, this is not a weight file")
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            VGG(19, tmp_path / name, ["pool1"])
    (tmp_path / "a.mat").write_text("hello" * 100)
    with pytest.raises(ValueError, match="a.mat .*MatConvNet"):
        VGGFace(tmp_path / "a.mat", ["pool1"])
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(tmp_path / "new.weights.h5")
    with pytest.raises(ValueError, match="list of layers"):
        VGG(19, tmp_path / "new.weights.h5", ["pool1"])
    path, _ = written(tmp_path, writers, "safetensors")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="shape .*cut off"):
        VGG(16, path, ["pool1"], widths=TINY)
    np.savez(tmp_path / "pickled.npz", **{"features.0.weight": np.array([{}], object)})
    with pytest.raises(ValueError, match="pickled.npz .*allow_pickle"):
        VGG(16, tmp_path / "pickled.npz", ["pool1"], widths=TINY)


def test_wrong_arguments_give_one_clear_sentence(tmp_path, writers, images):
    path, _ = written(tmp_path, writers, "keras")
    with pytest.raises(ValueError, match="VGG-16 .*'relu3_4'.*conv1_1, .*pool5"):
        VGG(16, path, ["relu3_4"])
    with pytest.raises(ValueError, match="VGG-Face .*'fc7'"):
        VGGFace(path, ["fc7"])
    for layers in ([], "pool1", ["pool1", "pool1"]):
        with pytest.raises(ValueError, match="layer names, got"):
            VGG(16, path, layers)
    with pytest.raises(ValueError, match="16 or 19, got 11"):
        VGG(11, path, ["pool1"])
    network = VGG(16, path, ["pool1"], widths=TINY)
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\), got \(32, 40, 3\)"):
        network.features(images[0])
    with pytest.raises(TypeError, match="float .*uint8"):
        network.features((images * 255).astype(np.uint8))
