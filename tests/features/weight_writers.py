"""Weight files in the published layouts, of VGG networks with few channels and random weights."""

import json

import h5py
import numpy as np
from scipy import io

WIDTHS = (4, 5, 6, 7, 8)
COUNTS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
# Positions of the convolutions in torchvision's list of layers, as its published files have them.
TORCHVISION = {
    16: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    19: (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


def random_convolutions(depth=16, seed=0, widths=WIDTHS):
    """dict of conv name to (kernel (3, 3, in, out), bias), scaled so that activations neither vanish nor explode."""
    random, inputs, convolutions = np.random.default_rng(seed), 3, {}
    for block, (count, width) in enumerate(zip(COUNTS[depth], widths, strict=True), start=1):
        for index in range(1, count + 1):
            kernel = random.normal(0, np.sqrt(2 / (9 * inputs)), (3, 3, inputs, width)).astype(np.float32)
            convolutions[f"conv{block}_{index}"] = (kernel, random.normal(0, 0.1, width).astype(np.float32))
            inputs = width
    return convolutions


def write_keras_h5(path, convolutions, rename=lambda name: name, top=()):
    """As Keras 1 and 2 wrote weights: a list of layers, in each group a list of its weights; pools have none."""
    with h5py.File(path, "w") as file:
        names = ["input_1", *map(rename, convolutions), rename("pool5"), *top]
        file.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            file.create_group(name).attrs["weight_names"] = np.array([], "S1")
        for name, arrays in convolutions.items():
            group = file[rename(name)]
            labels = [f"{rename(name)}_{kind}_1:0" for kind in ("W", "b")]
            group.attrs["weight_names"] = [label.encode() for label in labels]
            for label, array in zip(labels, arrays, strict=True):
                group.create_dataset(label, data=array)
        for name in top:
            file[name].attrs["weight_names"] = [b"kernel:0"]
            file[name].create_dataset("kernel:0", data=np.zeros((3, 3)))


def block_name(name):
    """conv1_2 as keras.applications calls it."""
    return f"block{name[4]}_{name[:4]}{name[6]}" if name.startswith("conv") else f"block{name[4]}_pool"


def state_dict(depth, convolutions):
    """torchvision's names, kernels as (out, in, H, W)."""
    tensors = {"classifier.0.weight": np.zeros((2, 3), np.float32), "classifier.0.bias": np.zeros(2, np.float32)}
    for position, (kernel, bias) in zip(TORCHVISION[depth], convolutions.values(), strict=True):
        tensors[f"features.{position}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        tensors[f"features.{position}.bias"] = bias
    return tensors


def write_safetensors(path, tensors, dtype="F32"):
    """Header length, header, bytes. BF16 keeps the upper half of each float32."""
    header, payload = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        data = array.astype("<f4")
        data = (data.view("<u4") >> 16).astype("<u2").tobytes() if dtype == "BF16" else data.tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(payload), len(payload) + len(data)]}
        payload += data
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + payload)


def _cell(items):
    cell = np.empty((1, len(items)), object)
    for i, item in enumerate(items):
        cell[0, i] = item
    return cell


def write_matconvnet(path, convolutions, side_by_side=False, old_names=False):
    """``net.layers`` with conv, relu and pool layers, and fc6 as a convolution."""
    layers, block = [], "1"
    for name, (kernel, bias) in {**convolutions, "fc6": (np.zeros((2, 2, 8, 9)), np.zeros(9))}.items():
        if name[4:5] != block:
            layers.append({"name": f"pool{block}", "type": "pool", "stride": 2.0})
            block = name[4:5]
        bias = bias.reshape(1, -1)
        arrays = {"filters": kernel, "biases": bias} if old_names else {"weights": _cell([kernel, bias])}
        layers += [{"name": name, "type": "conv", **arrays}, {"name": name.replace("conv", "relu"), "type": "relu"}]
    content = {"layers": _cell(layers), "meta": {"normalization": {"averageImage": np.ones((1, 1, 3))}}}
    io.savemat(path, content if side_by_side else {"net": content})
