"""Functions under PyTorch, which runs them operation by operation, and the devices they run on."""

import torch
from keras import ops, tree


def compiled(function, model=None):
    """As ``deblur_zoo.execution.compiled``; nothing is compiled."""

    def run(*arrays):
        with torch.no_grad():
            return tree.map_structure(ops.convert_to_numpy, function(*map(ops.convert_to_tensor, arrays)))

    return run


def network(model):
    """A model as a function of float32 arrays (N, H, W, 3)."""
    return compiled(lambda images: model(images, training=False), model)


def accelerators():
    """Names of the accelerators; empty where there is none."""
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
