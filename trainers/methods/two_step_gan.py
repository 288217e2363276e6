"""How two_step_gan is trained (Chrysos et al. 2019, sections 3.1 and 3.3). Runs on every backend."""

from keras import ops

from deblur_zoo.losses import adversarial, reconstruction
from trainers.methods.method import PIXELS, Method, register_method


@register_method("two_step_gan")
class TwoStepGanMethod(Method):
    """The terms of eq. 2, which trains the hourglass, and of eq. 7, which trains the generator.

    - hourglass: content loss of the hourglass's result (eq. 2).
    - content, gradient: content loss of the restored image and of its gradients (eq. 4).
    - projection: distance of the discriminator's features of restored and sharp image (eq. 5).
    - reconstruction: the second pathway's reconstruction of sharp images (eq. 6), encoded by the recipe's auxiliary
      network.
    - perceptual: the "identity loss" of some rows of table 4, a distance of a feature network's activations. The paper
      gives no formula.
    - adversarial, and for the critic discriminator: eq. 3 as cross-entropy, the generator's in the form that does not
      saturate. The discriminator sees the blurred image beside the one that it judges.

    Options:
        pixels: "l1" (the paper), "l2" or "negative_psnr", the measure of hourglass and content.
        perceptual_share: the perceptual term is taken on this share of each batch.
    """

    accepted = ("hourglass", "content", "gradient", "projection", "reconstruction", "perceptual", "adversarial")
    critic_accepted = ("discriminator",)
    needs = {"perceptual": "perceptual"}
    defaults = {"pixels": "l1", "perceptual_share": 1.0}
    choices = {"pixels": tuple(PIXELS)}
    # The projection is the discriminator's own.
    adversarial = ("adversarial", "projection")

    def outputs(self, model, batch):
        return model.training_outputs(batch["blurred"], training=True)

    def terms(self, batch, outputs, trainer):
        truth, restored = batch["sharp"], outputs["restored"]
        pixels = PIXELS[self.options["pixels"]]
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
            terms["perceptual"] = self.perceptual_distance(truth, restored)
        if set(self.adversarial) & set(self.weights):
            terms |= self._adversarial(batch, restored, trainer.critic)
        return {name: terms[name] for name in self.weights}

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
