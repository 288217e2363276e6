"""How umsn is trained (Yasarla et al. 2020, sections III-D to IV-A). Runs on every backend.

Images at half size are compared with the truth's means of 2x2 pixels, labels with every second pixel's.
"""

import numpy as np
from keras import ops

from deblur_zoo.face_classes import UNKNOWN
from deblur_zoo.layers.resampling import halve
from deblur_zoo.losses import parsing, reconstruction
from deblur_zoo.losses.confidence import confidence_guided
from deblur_zoo.metrics.parsing import UMSN_CLASSES
from trainers.methods.method import FEATURES, PIXELS, Method, register_method

# The paper's class of each label; unknown stays unknown.
CLASS_OF_LABEL = np.full(256, UNKNOWN, np.int32)
for number, members in enumerate(UMSN_CLASSES.values()):
    CLASS_OF_LABEL[list(members)] = number


def parser_pictures(batch, clear_share):
    """The blurred pictures, replaced by the sharp ones in a share of the batch."""
    clear = batch["share"] < clear_share
    return ops.where(ops.reshape(clear, (-1, 1, 1, 1)), batch["sharp"], batch["blurred"])


def parsing_cost(labels, outputs):
    """Cross-entropy at both sizes, a mean over the batch each, summed.

    Args:
        labels: integer (N, H, W), of the 11 classes or 255.
        outputs: dict with "parsing_logits" and "parsing_logits_half".
    """
    classes = ops.take(ops.convert_to_tensor(CLASS_OF_LABEL), labels, axis=0)
    scales = {"": classes, "_half": classes[:, ::2, ::2]}
    return sum(
        ops.mean(parsing.cross_entropy(truth, outputs[f"parsing_logits{scale}"], from_logits=True))
        for scale, truth in scales.items()
    )


@register_method("umsn")
class UmsnMethod(Method):
    """The terms of all stages. Masks are the parser's on the sharp picture, as in the paper.

    - parsing: cross-entropy of the parser at both sizes. A stage of this term alone runs the parser alone.
    - features, features_perceptual: distance of each F-Net's image from the sharp one, summed over the classes; each
      sees the sharp picture with the blurred one's pixels in its class, and the sharp picture's mask.
    - content: distance of the restored image from the sharp one.
    - half: the same at half size; mixed, see below, if the stage is.
    - confidence: eq. 4, sum over the classes of C_i L(m_i estimate, m_i truth) - regularizer * log(C_i).
    - gradient, gradient_half: mean absolute difference of image gradients, of the mixed estimate if the stage is mixed.
    - perceptual: distance of a feature network's activations (eq. 5).

    Options:
        pixels: "l1" (the paper), "l2" or "negative_psnr", the measure of features, content and half.
        regularizer: lambda of eq. 4.
        class_weights: four factors of the classes in the features and confidence terms.
        mixed: what half and gradient see of the estimate is C m estimate + (1 - C) m truth, summed over the classes, as
            in the authors' code.
        distance: "l2" (eq. 5) or "l1", of the perceptual terms.
        perceptual_share: the perceptual term is taken on this share of each batch.
        clear_share: share of the pictures that the parser sees sharp, in a stage of the parser alone.
    """

    accepted = (
        "parsing", "features", "features_perceptual", "content", "half", "confidence", "gradient", "gradient_half",
        "perceptual",
    )  # fmt: skip
    needs = {"features_perceptual": "perceptual", "perceptual": "perceptual"}
    defaults = {
        "pixels": "l1",
        "regularizer": 0.01,
        "class_weights": (1.0, 1.0, 1.0, 1.0),
        "mixed": False,
        "distance": "l2",
        "perceptual_share": 1.0,
        "clear_share": 0.0,
    }
    choices = {"pixels": tuple(PIXELS), "distance": tuple(FEATURES)}

    def __init__(self, losses, critic_losses=None, networks=None, **options):
        super().__init__(losses, critic_losses, networks, **options)
        if len(self.options["class_weights"]) != len(UMSN_CLASSES):
            raise ValueError(f"class_weights must be four numbers, got {self.options['class_weights']!r}")
        self.needs_labels = "parsing" in losses
        self.first_stage = bool({"features", "features_perceptual"} & set(losses))
        self.guided = "confidence" in losses or self.options["mixed"]
        if self.first_stage and set(losses) - {"features", "features_perceptual"}:
            raise ValueError("the features terms need a stage of their own")

    def outputs(self, model, batch):
        if set(self.weights) == {"parsing"}:
            return model.parse(parser_pictures(batch, self.options["clear_share"]), training=True)
        maps = {}
        if self.first_stage or self.guided:
            logits = ops.stop_gradient(model.parse(batch["sharp"], training=False)["parsing_logits"])
            maps = {"maps": ops.softmax(logits, axis=-1)}
        if not self.first_stage:
            return {**model.training_outputs(batch["blurred"], training=True), **maps}
        pictures = [
            batch["sharp"] + maps["maps"][..., i : i + 1] * (batch["blurred"] - batch["sharp"])
            for i in range(len(UMSN_CLASSES))
        ]
        features = model.class_features(pictures, maps["maps"])
        numbered = {"picture": pictures, "features": features}
        return maps | {f"{name}_{i}": value for name, values in numbered.items() for i, value in enumerate(values)}

    def terms(self, batch, outputs, trainer):
        if self.first_stage:
            return self._first_stage_terms(batch["sharp"], outputs, trainer.auxiliary)
        truth, terms = batch["sharp"], {}
        if "parsing" in self.weights:
            terms["parsing"] = parsing_cost(batch["labels"], outputs)
        if set(self.weights) == {"parsing"}:
            return terms
        estimate, pixels = outputs["restored"], PIXELS[self.options["pixels"]]
        truth_half, estimate_half = halve(truth), outputs.get("restored_half")
        if self.guided:
            maps, network = outputs["maps"], trainer.auxiliary.confidence
            confidences = network.confidences(truth, estimate, maps)
        if "content" in self.weights:
            terms["content"] = ops.mean(pixels(truth, estimate))
        if "confidence" in self.weights:
            weighted = maps * ops.convert_to_tensor(self.options["class_weights"], "float32")
            costs = confidence_guided(truth, estimate, weighted, confidences, self.options["regularizer"])
            terms["confidence"] = ops.mean(costs)
        if self.options["mixed"]:
            # The share of the estimate at each pixel and channel; the rest is the truth.
            share = ops.einsum("nhwm,nmc->nhwc", maps, confidences)
            estimate = truth + share * (estimate - truth)
            if estimate_half is not None:
                estimate_half = truth_half + halve(share) * (estimate_half - truth_half)
        if "half" in self.weights:
            terms["half"] = ops.mean(pixels(truth_half, estimate_half))
        if "gradient" in self.weights:
            terms["gradient"] = ops.mean(reconstruction.gradient(truth, estimate))
        if "gradient_half" in self.weights:
            terms["gradient_half"] = ops.mean(reconstruction.gradient(truth_half, estimate_half))
        if "perceptual" in self.weights:
            terms["perceptual"] = self.perceptual_distance(truth, outputs["restored"], self.options["distance"])
        return {name: terms[name] for name in self.weights}

    def _first_stage_terms(self, truth, outputs, auxiliary):
        estimates = [
            head(outputs[f"picture_{i}"], outputs["maps"][..., i : i + 1], outputs[f"features_{i}"])
            for i, head in enumerate(auxiliary.heads)
        ]
        kinds = {
            "features": lambda estimate: ops.mean(PIXELS[self.options["pixels"]](truth, estimate)),
            "features_perceptual": lambda estimate: self.perceptual_distance(truth, estimate, self.options["distance"]),
        }
        factors = self.options["class_weights"]
        return {
            name: sum(factor * kinds[name](estimate) for factor, estimate in zip(factors, estimates, strict=True))
            for name in self.weights
        }
