"""How semantic_face is trained (Shen et al. 2020, section 3.3), and the parser alone. Runs on every backend.

Images at half scale are compared with the truth's means of 2x2 pixels.
"""

from keras import ops

from deblur_zoo.layers.resampling import halve
from deblur_zoo.losses import adversarial, parsing, structural
from trainers.methods.method import PIXELS, Method, register_method


@register_method("semantic_face")
class SemanticFaceMethod(Method):
    """The terms of eq. 11, each wherever the paper has it.

    - coarse: content loss of the coarse network at both scales (first half of eq. 5).
    - content: content loss of the fine network at both scales (second half of eq. 5), of every fine stage.
    - structural: eq. 6 and 7 at both scales, on the components that the labels show.
    - parsing: cross-entropy of the parsing network (eq. 4).
    - perceptual: distance of a feature network's activations at full scale (eq. 8).
    - adversarial, and for the critic discriminator: eq. 9 and 10 at full scale.

    Options:
        pixels: "l1" (the paper), "l2" or "negative_psnr", the measure of both content terms.
        structural_weights: "adaptive" (eq. 7) or "equal" (the paper's predecessor of 2018).
        constant: c of eq. 7 in pixels; None: chosen per image so that the mean weight is 1.
        labels: "parser", or "truth": the fine network is shown the true labels (table 2).
        perceptual_share: the perceptual term is taken on this share of each batch.
    """

    accepted = ("coarse", "content", "structural", "parsing", "perceptual", "adversarial")
    critic_accepted = ("discriminator",)
    needs = {"perceptual": "perceptual"}
    defaults = {
        "pixels": "l1",
        "structural_weights": "adaptive",
        "constant": None,
        "labels": "parser",
        "perceptual_share": 1.0,
    }
    choices = {
        "pixels": tuple(PIXELS),
        "structural_weights": ("adaptive", "equal"),
        "labels": ("parser", "truth"),
    }

    def __init__(self, losses, critic_losses=None, networks=None, **options):
        super().__init__(losses, critic_losses, networks, **options)
        self.needs_labels = self.options["labels"] == "truth" or bool({"structural", "parsing"} & set(losses))

    def outputs(self, model, batch):
        labels = batch["labels"] if self.options["labels"] == "truth" else None
        return model.training_outputs(batch["blurred"], labels=labels, training=True)

    def terms(self, batch, outputs, trainer):
        truth = batch["sharp"]
        scales = {"": truth, "_half": halve(truth)}
        pixels = PIXELS[self.options["pixels"]]
        stages = [name for name in outputs if name.startswith("restored") and not name.endswith("_half")]

        def summed(distance, names):
            """A distance's mean over the batch, summed over scales and outputs."""
            return sum(
                ops.mean(distance(scales[scale], outputs[name + scale], scale)) for name in names for scale in scales
            )

        terms = {}
        if "coarse" in self.weights:
            terms["coarse"] = summed(lambda truth, estimate, scale: pixels(truth, estimate), ["coarse"])
        if "content" in self.weights:
            terms["content"] = summed(lambda truth, estimate, scale: pixels(truth, estimate), stages)
        if "structural" in self.weights:
            masks = structural.component_masks(batch["labels"])
            masks = {"": masks, "_half": halve(masks)}
            terms["structural"] = summed(lambda *pair: self._structural(*pair[:2], masks[pair[2]]), stages)
        if "parsing" in self.weights:
            costs = parsing.cross_entropy(batch["labels"], outputs["parsing_logits"], from_logits=True)
            terms["parsing"] = ops.mean(costs)
        if "perceptual" in self.weights:
            terms["perceptual"] = self.perceptual_distance(truth, outputs["restored"])
        if "adversarial" in self.weights:
            logits = trainer.critic(outputs["restored"], training=True)
            terms["adversarial"] = ops.mean(adversarial.sigmoid_generator(None, logits))
        return terms

    def _structural(self, truth, estimate, masks):
        if self.options["structural_weights"] == "equal":
            return structural.equal_structural(truth, estimate, masks)
        return structural.adaptive_structural(truth, estimate, masks, self.options["constant"], minimum_size=1.0)

    def critic_terms(self, batch, outputs, critic, input_gradient):
        logits = critic(batch["sharp"], training=True), critic(outputs["restored"], training=True)
        return {"discriminator": ops.mean(adversarial.sigmoid_discriminator(*logits))}


@register_method("face_parser")
class FaceParserMethod(Method):
    """Cross-entropy of a parser on the pictures that the data gives as blurred (section 3.3, eq. 4).

    A recipe whose data are all unblurred trains it on clear faces (section 4.1).
    """

    accepted = ("parsing",)
    needs_labels = True

    def outputs(self, model, batch):
        return model.training_outputs(batch["blurred"], training=True)

    def terms(self, batch, outputs, trainer):
        costs = parsing.cross_entropy(batch["labels"], outputs["parsing_logits"], from_logits=True)
        return {"parsing": ops.mean(costs)}
