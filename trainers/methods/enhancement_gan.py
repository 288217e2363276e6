"""How enhancement_gan is trained (Qi et al. 2020, eq. 2 to 5). Runs on every backend.

Losses are taken on images in [0, 1], as everywhere here; the paper does not say whether its own are in [-1, 1].
"""

from keras import ops

from deblur_zoo.losses import adversarial
from trainers.methods.method import FEATURES, PIXELS, Method, register_method


@register_method("enhancement_gan")
class EnhancementGanMethod(Method):
    """The terms of eq. 2.

    - content: mean squared difference (eq. 3).
    - perceptual: mean squared difference of a feature network's activations (eq. 4).
    - adversarial: minus the critic's mean score of the estimate (eq. 5).
    - for the critic, critic: its score of the estimate minus that of the truth; gradient_penalty: the squared distance
      of its gradient's norm from 1, between truth and estimate. The paper's lambda is the latter's weight, 10 in
      Gulrajani et al. 2017.

    Options:
        pixels: "l2" (the paper), "l1" or "negative_psnr", the measure of the content term.
        perceptual_distance: "l2" (the paper) or "l1".
        perceptual_share: the perceptual term is taken on this share of each batch.
    """

    accepted = ("content", "perceptual", "adversarial")
    critic_accepted = ("critic", "gradient_penalty")
    needs = {"perceptual": "perceptual"}
    defaults = {"pixels": "l2", "perceptual_distance": "l2", "perceptual_share": 1.0}
    choices = {"pixels": tuple(PIXELS), "perceptual_distance": tuple(FEATURES)}

    def terms(self, batch, outputs, trainer):
        truth, estimate = batch["sharp"], outputs["restored"]
        terms = {}
        if "content" in self.weights:
            terms["content"] = ops.mean(PIXELS[self.options["pixels"]](truth, estimate))
        if "perceptual" in self.weights:
            terms["perceptual"] = self.perceptual_distance(truth, estimate, self.options["perceptual_distance"])
        if "adversarial" in self.weights:
            scores = trainer.critic(estimate, training=True)
            terms["adversarial"] = ops.mean(adversarial.wasserstein_generator(None, scores))
        return terms

    def critic_terms(self, batch, outputs, critic, input_gradient):
        truth, estimate = batch["sharp"], outputs["restored"]
        terms = {}
        if "critic" in self.critic_weights:
            scores = critic(truth, training=True), critic(estimate, training=True)
            terms["critic"] = ops.mean(adversarial.wasserstein_critic(*scores))
        if "gradient_penalty" in self.critic_weights:

            def mean_scores(images):
                # One number an image: the mean over its patches.
                return ops.mean(critic(images, training=True), axis=(1, 2, 3))

            points = adversarial.between(truth, estimate, batch["share"])
            terms["gradient_penalty"] = ops.mean(adversarial.gradient_penalty(input_gradient(mean_scores, points)))
        return terms
