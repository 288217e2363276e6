"""Layers of an identity network (``identity``) for a perceptual loss, including the warp to the ArcFace points."""

from deblur_zoo.faces.alignment import CROP_SIZE
from deblur_zoo.features.identity import IdentityNetwork
from deblur_zoo.features.network import FeatureNetwork

# The name of the network's output in a list of layers.
EMBEDDING = "embedding"


class IdentityLayers(FeatureNetwork):
    """Named layers of an ``IdentityNetwork``, each scaled.

    Args:
        weights: ``.keras`` file, see ``IdentityNetwork``.
        layers: names of layers of the file's network, and "embedding" for its output.
        canonical_size, region, dtype: see ``IdentityNetwork``.
        scales: see ``FeatureNetwork``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not a Keras file, a network of another shape, or an unknown layer name.
    """

    def __init__(self, weights, layers, canonical_size=CROP_SIZE, region=None, scales=None, dtype="float32"):
        super().__init__("an identity network", layers, scales)
        inner = [name for name in self.layer_names if name != EMBEDDING]
        self.identity = IdentityNetwork(weights, inner, canonical_size, region, dtype)

    def _activations(self, images):
        embedding, layers = self.identity.features(images)
        return {EMBEDDING: embedding, **layers}
