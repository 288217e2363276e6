"""Create a feature network from a specification, such as in a recipe."""

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deblur_zoo.features.network import FeatureNetwork


# Kind to module, class and fixed arguments. The modules import Keras, so they are imported on demand.
_KINDS = {
    "vgg16": ("vgg", "VGG", {"depth": 16}),
    "vgg19": ("vgg", "VGG", {"depth": 19}),
    "vgg_face": ("vgg_face", "VGGFace", {}),
    "identity": ("identity_layers", "IdentityLayers", {}),
    "keras_file": ("keras_file", "KerasFileNetwork", {}),
}


def load_feature_network(specification: Mapping[str, Any]) -> "FeatureNetwork":
    """Load a frozen feature network.

    Args:
        specification: dict with "kind": vgg16, vgg19, vgg_face, identity or keras_file; "weights": path of the file
            (vgg16 and vgg19 also take "imagenet", which keras.applications downloads); "layers": names of layers.
            Further entries, such as "scales" and "dtype", are arguments of the kind's class: ``vgg.VGG``,
            ``vgg_face.VGGFace``, ``identity_layers.IdentityLayers``, ``keras_file.KerasFileNetwork``.

    Returns:
        A ``network.FeatureNetwork``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: an unknown kind, entry or layer, a missing entry, or the file of another network.
        ImportError: the file needs a package that is not installed.
    """
    entries = dict(specification)
    kind = entries.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of feature network {kind!r}; accepted: {', '.join(_KINDS)}")
    for required in ("weights", "layers"):
        if not entries.get(required):
            raise ValueError(f"a feature network of kind {kind} needs {required!r}: {_MEANINGS[required]}")
    module, name, fixed = _KINDS[kind]
    network_class = getattr(importlib.import_module(f"deblur_zoo.features.{module}"), name)
    arguments = inspect.signature(network_class).parameters
    accepted = sorted(set(arguments) - set(fixed))
    unknown = sorted(set(entries) - set(accepted))
    if unknown:
        raise ValueError(
            f"a feature network of kind {kind} has no entry {unknown[0]!r}; accepted: kind, {', '.join(accepted)}"
        )
    for name in accepted:
        if arguments[name].default is inspect.Parameter.empty and name not in entries:
            raise ValueError(f"a feature network of kind {kind} needs {name!r}: {_MEANINGS[name]}")
    return network_class(**fixed, **entries)


_MEANINGS = {
    "weights": "the path of its file",
    "layers": "a list of names of layers",
    "input_range": "the network's values for 0 and 1, such as [0, 255] or [-1, 1]",
}
