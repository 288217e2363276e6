"""How one_step is trained: L2, total variation and facial loss (one-step paper, eq. 8). Runs on every backend."""

from keras import ops

from deblur_zoo.losses import content, identity
from trainers.methods.method import PIXELS, Method, first_share, register_method

PIXEL_LOSSES = {**PIXELS, "total_variation": content.total_variation}


@register_method("one_step")
class OneStepMethod(Method):
    """The weighted terms of one stage: l1, l2, negative_psnr, total_variation, facial.

    The option ``facial_share`` takes the facial term on the first images of each batch, this share of them; the
    identity network costs more than the deblurring step itself on small models.
    """

    accepted = (*PIXEL_LOSSES, "facial")
    needs = {"facial": "identity"}
    defaults = {"facial_share": 1.0}

    def terms(self, batch, outputs, trainer):
        truth, estimate = batch["sharp"], outputs["restored"]
        terms = {name: ops.mean(PIXEL_LOSSES[name](truth, estimate)) for name in self.weights if name in PIXEL_LOSSES}
        if "facial" in self.weights:
            count = first_share(truth, self.options["facial_share"])
            # One call on both halves: the network is frozen, so they cannot influence each other.
            features = self.networks["identity"](ops.concatenate([truth[:count], estimate[:count]]))
            terms["facial"] = ops.mean(identity.facial(features[:count], features[count:]))
        return terms
