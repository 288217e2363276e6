"""The base class of training methods: losses and the outputs they compare. Backends and optimisers are elsewhere."""

from keras import ops

from deblur_zoo.losses import content, perceptual

# Measures of two images, and of two images' activations, by their names in options.
PIXELS = {"l1": content.l1, "l2": content.l2, "negative_psnr": content.negative_psnr}
FEATURES = {"l1": perceptual.l1, "l2": perceptual.l2}

# Registered classes by their names in recipes.
REGISTERED = {}


def register_method(name: str):
    """Class decorator: register a subclass of ``Method`` for recipes whose "method" is this name.

    Raises:
        ValueError: the name belongs to another class.
    """

    def register(cls):
        other = REGISTERED.setdefault(name, cls)
        # A class that is redefined, as in a notebook, replaces its older self.
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(
                f"the method {name!r} is registered already, by {other.__module__}.{other.__qualname__}: give "
                f"{cls.__name__} another name"
            )
        REGISTERED[name] = cls
        return cls

    return register


class Method:
    """The losses of one stage of one method. Subclasses use only ``keras.ops``, so that they train on every backend.

    Args:
        losses: dict from the generator's terms to their weights.
        critic_losses: dict from the critic's terms to their weights; empty: the critic is not trained.
        networks: dict of frozen feature networks by name; see ``needs``.
        options: the method's own settings of the stage.

    Raises:
        ValueError: an unknown term or option, an invalid value of an option, or a term whose network is missing.

    Attributes:
        accepted: names of the generator's terms.
        critic_accepted: names of the critic's terms.
        needs: dict from a term to the name of the network that it needs.
        defaults: the method's own settings with their defaults.
        choices: dict from a setting to its accepted values, where these can be listed.
        adversarial: generator terms that need a critic.
        needs_labels: the stage's terms need a parsing of the sharp pictures.
    """

    accepted = ()
    critic_accepted = ()
    needs = {}
    defaults = {}
    choices = {}
    adversarial = ("adversarial",)
    needs_labels = False

    def __init__(self, losses, critic_losses=None, networks=None, **options):
        critic_losses, networks = critic_losses or {}, networks or {}
        name = type(self).__name__
        for given, accepted, kind in (
            (losses, self.accepted, "loss"),
            (critic_losses, self.critic_accepted, "critic loss"),
            (options, self.defaults, "option"),
        ):
            unknown = sorted(set(given) - set(accepted))
            if unknown:
                raise ValueError(
                    f"{kind} {unknown[0]!r} is unknown to {name}; accepted: {', '.join(accepted) or 'none'}"
                )
        for term, network in self.needs.items():
            if term in losses and network not in networks:
                raise ValueError(f"the {term} loss needs the {network} network")
        self.weights = dict(losses)
        self.critic_weights = dict(critic_losses)
        self.networks = networks
        self.options = {**self.defaults, **options}
        for option, accepted in self.choices.items():
            if self.options[option] not in accepted:
                raise ValueError(f"{option} must be one of {', '.join(accepted)}, got {self.options[option]!r}")

    @property
    def has_adversary(self):
        """Whether any term of the stage needs a critic."""
        return bool(self.critic_weights) or any(term in self.weights for term in self.adversarial)

    def outputs(self, model, batch):
        """The tensors that the losses compare.

        Args:
            model: the model in training.
            batch: dict of float32 "blurred" and "sharp" (N, H, W, 3) in [0, 1]; "share" (N,) in [0, 1), spread evenly
                from step to step; and integer "labels" (N, H, W) if the data has them.

        Returns:
            dict of float32 tensors, "restored" (N, H, W, 3) among them.
        """
        return {"restored": model(batch["blurred"], training=True)}

    def terms(self, batch, outputs, trainer):
        """The generator's unweighted terms, each a mean over the batch, as a dict in the order of ``weights``.

        Args:
            batch, outputs: as in ``outputs``.
            trainer: has ``critic`` and ``auxiliary``, the networks that are trained beside the model.
        """
        raise NotImplementedError

    def critic_terms(self, batch, outputs, critic, input_gradient):
        """The critic's unweighted terms, each a mean over the batch, as a dict in the order of ``critic_weights``.

        Args:
            batch, outputs: as in ``outputs``; the outputs carry no gradient.
            critic: the critic in training.
            input_gradient: function of (function, images) that gives the gradient of the sum of the function's values
                with respect to the images; each backend has its own.
        """
        raise NotImplementedError

    def perceptual_distance(self, truth, estimate, measure="l1"):
        """Mean distance of the network "perceptual"'s activations, on the share of the batch that the option
        "perceptual_share" names.

        Args:
            truth, estimate: float (N, H, W, 3).
            measure: a key of ``FEATURES``.
        """
        count = first_share(truth, self.options["perceptual_share"])
        # One call on both halves: the network is frozen, so they cannot influence each other.
        features = self.networks["perceptual"].features(ops.concatenate([truth[:count], estimate[:count]]))
        of_truth = {name: values[:count] for name, values in features.items()}
        of_estimate = {name: values[count:] for name, values in features.items()}
        return ops.mean(FEATURES[measure](of_truth, of_estimate))


def weighted_sum(weights, terms):
    """The loss: terms times weights, in float32."""
    return sum(weights[name] * ops.cast(value, "float32") for name, value in terms.items())


def first_share(images, share):
    """Number of images in a share of a batch, at least one. The batch's size may be known only at run time."""
    batch_size = ops.shape(images)[0]
    if isinstance(batch_size, int):
        return max(1, round(share * batch_size))
    rounded = ops.round(share * ops.cast(batch_size, "float32"))
    return ops.maximum(ops.cast(rounded, "int32"), 1)
