"""How one_step is trained: L2, total variation and facial loss (one-step paper, eq. 8). Runs on every backend."""

from keras import ops

from deblur_zoo.losses import content, identity

PIXEL_LOSSES = {"l1": content.l1, "l2": content.l2, "total_variation": content.total_variation}


class OneStepLosses:
    """The weighted terms of one stage.

    Args:
        weights: dict from term to weight; terms: l1, l2, total_variation, facial.
        identity_network: maps (N, H, W, 3) faces in [0, 1] to (N, F) features; needed for the facial term.
        facial_share: the facial term is taken on the first images of each batch, this share of them; the
            identity network costs more than the deblurring step itself on small models.

    Raises:
        ValueError: an unknown term, or a facial term without a network.
    """

    def __init__(self, weights, identity_network=None, facial_share=1.0):
        known = (*PIXEL_LOSSES, "facial")
        unknown = sorted(set(weights) - set(known))
        if unknown:
            raise ValueError(f"loss {unknown[0]!r} is not known to one_step; accepted: {', '.join(known)}")
        if "facial" in weights and identity_network is None:
            raise ValueError("the facial loss needs an identity network")
        self.weights = dict(weights)
        self.identity_network = identity_network
        self.facial_share = facial_share

    def terms(self, truth, estimate):
        """Unweighted terms, each the mean over the batch.

        Args:
            truth, estimate: float32 (N, H, W, 3).

        Returns:
            dict from term to a scalar.
        """
        terms = {name: ops.mean(PIXEL_LOSSES[name](truth, estimate)) for name in self.weights if name in PIXEL_LOSSES}
        if "facial" in self.weights:
            count = self._faces_to_compare(ops.shape(truth)[0])
            # One call on both halves: the network is frozen, so they cannot influence each other.
            features = self.identity_network(ops.concatenate([truth[:count], estimate[:count]]))
            terms["facial"] = ops.mean(identity.facial(features[:count], features[count:]))
        return terms

    def _faces_to_compare(self, batch_size):
        if isinstance(batch_size, int):
            return max(1, round(self.facial_share * batch_size))
        # Known only at run time: the same with tensors.
        share = ops.round(self.facial_share * ops.cast(batch_size, "float32"))
        return ops.maximum(ops.cast(share, "int32"), 1)

    def total(self, terms):
        """The weighted sum (eq. 8)."""
        return sum(self.weights[name] * value for name, value in terms.items())
