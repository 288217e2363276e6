"""What the device renderer gives on one Keras backend; run as a script to have it under another one.

KERAS_BACKEND=jax python render_on_backend.py INPUTS.npz OUTPUTS.npz
"""

import sys

import numpy as np


def device_outputs(faces, labels, kernels, mirrored_classes, size, plan, compile=None):
    """The renderer's steps one by one, and the whole batch through ``compile``: dict of NumPy arrays."""
    from keras import ops

    from deblur_zoo.data import device_synthesis, random_normal

    arrays = {"faces": faces, "labels": labels, "kernels": kernels, "mirrored_classes": mirrored_classes}
    arrays = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    tensors = {name: ops.convert_to_tensor(array) for name, array in plan.items()}
    chosen = ops.take(arrays["faces"], tensors["face"], axis=0)
    sharp = device_synthesis.warp(chosen, tensors["matrix"], size)
    kernels = ops.take(arrays["kernels"], tensors["kernel"], axis=0)
    counters = ops.convert_to_tensor(np.arange(1000, dtype=np.uint32))
    left, right = random_normal.threefry_tensors(tensors["key"], counters)

    def whole(arrays, plan):
        return device_synthesis.render(arrays, plan, size)

    blurred, rendered_sharp, rendered_labels = (compile(whole) if compile else whole)(arrays, plan)
    outputs = {
        "words": ops.stack([left, right]),
        "normal": random_normal.standard_normal_tensors(tensors["key"], (size, size, 3)),
        "normal_odd": random_normal.standard_normal_tensors(tensors["key"], (7, 5, 3)),
        "warped": sharp,
        "degraded": device_synthesis.blur_and_noise(sharp, kernels, tensors["sigma"], tensors["key"]),
        "blurred": blurred,
        "sharp": rendered_sharp,
        "labels": rendered_labels,
    }
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def jax_training_takes_device_batches(faces, kernels, plan, size):
    """Whether Keras's JAX ``fit`` hands the generator's device arrays to the step without copying them."""
    import jax
    import keras

    from deblur_zoo.data import device_synthesis

    made, seen = [], []
    arrays = {"faces": jax.numpy.asarray(faces), "kernels": jax.numpy.asarray(kernels)}
    render = jax.jit(lambda arrays, plan: device_synthesis.render(arrays, plan, size))

    def batches():
        while True:
            made.append(render(arrays, plan))
            yield made[-1]

    class Recorder(keras.Model):
        def train_step(self, state, data):
            seen.extend(array.unsafe_buffer_pointer() for array in data)
            return {}, state

    model = Recorder()
    model.built = True
    # Eagerly, so that the step sees arrays and not their tracers; where batches come from is the same.
    model.compile(run_eagerly=True)
    model.fit(batches(), steps_per_epoch=3, verbose=0)
    pointers = {array.unsafe_buffer_pointer() for batch in made for array in batch}
    return len(seen) >= 6 and set(seen) <= pointers


if __name__ == "__main__":
    sys.modules["tensorflow"] = None  # an import of it fails: other backends must do without
    with np.load(sys.argv[1]) as file:
        inputs = dict(file)
    plan = {name.removeprefix("plan_"): inputs.pop(name) for name in list(inputs) if name.startswith("plan_")}
    inputs["size"] = int(inputs["size"])
    import jax

    outputs = device_outputs(**inputs, plan=plan, compile=jax.jit)
    no_copy = jax_training_takes_device_batches(inputs["faces"], inputs["kernels"], plan, inputs["size"])
    from deblur_zoo.data.places import choose_place
    from deblur_zoo.data.synthesis import Synthesis

    np.savez(sys.argv[2], **outputs, no_copy=no_copy, place=choose_place("auto", Synthesis()))
