"""How two_step_gan is trained (Chrysos et al. 2019, sections 3.1 and 3.3). Runs on every backend."""

from keras import ops

from deblur_zoo.losses import adversarial, content, perceptual, reconstruction
from trainers.method import Method, first_share

CONTENT = {"l1": content.l1, "l2": content.l2}


class TwoStepGanMethod(Method):
    """The terms of eq. 2, which trains the hourglass, and of eq. 7, which trains the generator.

    - hourglass: content loss of the hourglass's result (eq. 2).
    - content, gradient: content loss of the restored image and of its gradients (eq. 4).
    - projection: distance of the discriminator's features of restored and sharp image (eq. 5).
    - reconstruction: what the second pathway makes of sharp images (eq. 6); the recipe's auxiliary network encodes.
    - perceptual: the "identity loss" of some rows of table 4, a distance of a feature network's activations. The paper
      gives no formula.
    - adversarial, and for the critic discriminator: eq. 3 as cross-entropy, the generator's in the form that does not
      saturate. The discriminator sees the blurred image beside the one that it judges.

    Options:
        pixels: "l1" (the paper) or "l2", the measure of hourglass and content.
        perceptual_share: the perceptual term is taken on this share of each batch.
    """

    accepted = ("hourglass", "content", "gradient", "projection", "reconstruction", "perceptual", "adversarial")
    critic_accepted = ("discriminator",)
    needs = {"perceptual": "perceptual"}
    defaults = {"pixels": "l1", "perceptual_share": 1.0}
    # The projection is the discriminator's own.
    adversarial = ("adversarial", "projection")

    def __init__(self, losses, critic_losses=None, networks=None, **options):
        super().__init__(losses, critic_losses, networks, **options)
        if self.options["pixels"] not in CONTENT:
            raise ValueError(f"pixels is one of {', '.join(CONTENT)}, not {self.options['pixels']!r}")

    def outputs(self, model, batch):
        return model.training_outputs(batch["blurred"], training=True)

    def terms(self, batch, outputs, trainer):
        truth, restored = batch["sharp"], outputs["restored"]
        pixels = CONTENT[self.options["pixels"]]
        terms = {}
        if "hourglass" in self.weights:
            if "hourglass" not in outputs:
                raise ValueError("the hourglass loss needs a model with an hourglass")
            terms["hourglass"] = ops.mean(pixels(truth, outputs["hourglass"]))
        if "content" in self.weights:
            terms["content"] = ops.mean(pixels(truth, restored))
        if "gradient" in self.weights:
            terms["gradient"] = ops.mean(reconstruction.gradient(truth, restored))
        if "reconstruction" in self.weights:
            if trainer.auxiliary is None:
                raise ValueError("the reconstruction loss needs the recipe's auxiliary network: SharpPathway")
            decoded = trainer.model.reconstruct(trainer.auxiliary, truth, training=True)
            terms["reconstruction"] = ops.mean(reconstruction.reconstruction(truth, decoded))
        if "perceptual" in self.weights:
            terms["perceptual"] = self._perceptual(truth, restored)
        if self.has_adversary and set(self.adversarial) & set(self.weights):
            terms |= self._adversarial(batch, restored, trainer.critic)
        return {name: terms[name] for name in self.weights}

    def _perceptual(self, truth, estimate):
        count = first_share(truth, self.options["perceptual_share"])
        # One call on both halves: the network is frozen, so they cannot influence each other.
        features = self.networks["perceptual"].features(ops.concatenate([truth[:count], estimate[:count]]))
        of_truth = {name: values[:count] for name, values in features.items()}
        of_estimate = {name: values[count:] for name, values in features.items()}
        return ops.mean(perceptual.l1(of_truth, of_estimate))

    def _adversarial(self, batch, restored, critic):
        logits, features = critic(_beside_blurred(batch, restored), training=True)
        terms = {"adversarial": ops.mean(adversarial.sigmoid_generator(None, logits))}
        if "projection" in self.weights:
            _, of_truth = critic(_beside_blurred(batch, batch["sharp"]), training=True)
            terms["projection"] = ops.mean(reconstruction.projection(of_truth, features))
        return terms

    def critic_terms(self, batch, outputs, critic, input_gradient):
        truth, _ = critic(_beside_blurred(batch, batch["sharp"]), training=True)
        estimate, _ = critic(_beside_blurred(batch, outputs["restored"]), training=True)
        return {"discriminator": ops.mean(adversarial.sigmoid_discriminator(truth, estimate))}


def _beside_blurred(batch, images):
    """The pairs that the discriminator judges."""
    return ops.concatenate([batch["blurred"], images], axis=-1)
