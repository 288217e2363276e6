"""Networks of Keras files: reading them, and freezing named layers of them in a wanted precision."""

import pathlib

import keras


def read_keras_file(path, title):
    """The network of a ``.keras`` file, nothing in it run or unpickled.

    Args:
        path: the file.
        title: what is wanted, with its article, such as "an identity network".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ``.keras`` file, or cannot be read.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no {title.partition(' ')[2]} at {path}: give the path of a .keras file")
    if path.suffix != ".keras":
        raise ValueError(f"{title} is a .keras file, got {path.name}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many types here: a zip error, a missing class, an unsafe Lambda.
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path.name} cannot be read as a Keras network ({type(error).__name__}: {reason})") from error


def frozen_with_layers(network, file_name, layer_names, dtype):
    """A frozen copy of a functional or sequential network that gives named layers.

    Args:
        network: with one output.
        file_name: for sentences.
        layer_names: names of layers on its own level; one that is used several times gives its first output.
        dtype: Keras dtype policy of the copy, whatever the network had.

    Returns:
        keras.Model with a dictionary of outputs: "output", and "layer/NAME" for each name.

    Raises:
        ValueError: there is no such layer, or the network's outputs or layers are of another kind.
    """
    file_name = pathlib.Path(file_name).name
    names = [layer.name for layer in network.layers]
    unknown = [name for name in layer_names if name not in names]
    if unknown:
        raise ValueError(f"{file_name} has no layer {unknown[0]!r}; its layers are {', '.join(names)}")

    def in_wanted_dtype(layer):
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=in_wanted_dtype)
        return layer.__class__.from_config({**layer.get_config(), "dtype": dtype})

    try:
        clone = keras.models.clone_model(network, clone_function=in_wanted_dtype)
        clone.set_weights(network.get_weights())
        named = {f"layer/{name}": clone.get_layer(name).output for name in layer_names}
    except (AttributeError, TypeError, ValueError) as error:  # Such as a layer that takes no dtype.
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the layers of {file_name} cannot be taken out of their network: {reason}") from error
    for name, output in named.items():
        if not isinstance(output, keras.KerasTensor):
            raise ValueError(f"{name.replace('layer/', 'layer ')} of {file_name} has several outputs; one is accepted")
    frozen = keras.Model(clone.inputs, {"output": clone.outputs[0], **named})
    frozen.trainable = False
    return frozen
