"""Read networks from Keras files, and freeze some of their layers with a given dtype policy."""

import pathlib

import keras


def read_keras_file(path, title):
    """Load the network of a ``.keras`` file without running or unpickling anything in it.

    Args:
        path: the file.
        title: what the network is, with its article, such as "an identity network", for error messages.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not a ``.keras`` file, or cannot be read.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{title.partition(' ')[2]} {path} does not exist: give the path of a .keras file")
    if path.suffix != ".keras":
        raise ValueError(f"{title} must be a .keras file, got {path.name}")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many types here: a zip error, a missing class, an unsafe Lambda.
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path.name} cannot be read as a Keras network ({type(error).__name__}: {reason})") from error


def frozen_with_layers(network, file_name, layer_names, dtype):
    """A frozen copy of a functional or sequential network that outputs named layers.

    Args:
        network: with one output.
        file_name: for error messages.
        layer_names: names of top-level layers; a layer that is called several times outputs its first result.
        dtype: Keras dtype policy of the copy.

    Returns:
        keras.Model with a dictionary of outputs: "output", and "layer/NAME" for each name.

    Raises:
        ValueError: an unknown layer, several outputs, or layers that cannot be copied.
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
    except (AttributeError, TypeError, ValueError) as error:  # such as a layer that takes no dtype
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the layers of {file_name} cannot be extracted from their network: {reason}") from error
    for name, output in named.items():
        if not isinstance(output, keras.KerasTensor):
            raise ValueError(f"{name.replace('layer/', 'layer ')} of {file_name} must have one output, but has several")
    frozen = keras.Model(clone.inputs, {"output": clone.outputs[0], **named})
    frozen.trainable = False
    return frozen
