"""Losses of generator and discriminator. Each gives one value per image, float32 (N,).

They take the discriminator's (or critic's) outputs for the truth and the estimate: float (N, ...), one value per image,
or a map of values for patches, which is averaged. For a conditional discriminator the caller concatenates the condition
with the truth, and with the estimate, along channels.

All outputs are linear: the discriminator of the sigmoid pair outputs logits, because the logarithm of a probability
rounded to 0 or 1 has no gradient; a Wasserstein critic has no sigmoid.
"""

from keras import ops

from deblur_zoo.annotations import Tensor

# Inside the penalty's square root, so that its gradient is finite where the critic's is zero.
_EPSILON = 1e-12


def sigmoid_discriminator(truth_logits: Tensor, estimate_logits: Tensor) -> Tensor:
    """-log D(truth) - log(1 - D(estimate)), D the sigmoid of the logits (Shen et al. 2020, eq. 9)."""
    return _mean(ops.softplus(-_single(truth_logits))) + _mean(ops.softplus(_single(estimate_logits)))


def sigmoid_generator(truth_logits: Tensor, estimate_logits: Tensor) -> Tensor:
    """-log D(estimate), the non-saturating form (Shen et al. 2020, eq. 10).

    The truth is unused; it is accepted so that all losses have the same signature.
    """
    del truth_logits
    return _mean(ops.softplus(-_single(estimate_logits)))


def wasserstein_critic(truth_scores: Tensor, estimate_scores: Tensor) -> Tensor:
    """Critic's score of the estimate minus that of the truth (Qi et al. 2020, eq. 5, negated to be minimised)."""
    return _mean(_single(estimate_scores)) - _mean(_single(truth_scores))


def wasserstein_generator(truth_scores: Tensor, estimate_scores: Tensor) -> Tensor:
    """Minus the critic's score of the estimate. The truth is unused."""
    del truth_scores
    return -_mean(_single(estimate_scores))


def between(truth: Tensor, estimate: Tensor, share: Tensor) -> Tensor:
    """Points between truth and estimate at which the gradient penalty is evaluated.

    Args:
        truth, estimate: float (N, H, W, C).
        share: float (N,) in [0, 1], drawn uniformly by the caller; 0 is the truth, 1 the estimate.

    Returns:
        float32 (N, H, W, C).
    """
    share = ops.reshape(_single(share), (-1, 1, 1, 1))
    return (1.0 - share) * _single(truth) + share * _single(estimate)


def gradient_penalty(gradients: Tensor) -> Tensor:
    """(norm of the gradient - 1) squared (Qi et al. 2020, eq. 5; the factor lambda is the recipe's).

    Args:
        gradients: float (N, H, W, C), of the sum over the batch of the critic's scores, each a mean over its patches,
            with respect to the images that ``between`` returns. The caller computes them, since each backend has its
            own way. The critic must not use batch normalisation, which mixes the gradients of different images.
    """
    gradients = _single(gradients)
    squares = ops.sum(ops.square(gradients), axis=tuple(range(1, len(gradients.shape))))
    return ops.square(ops.sqrt(squares + _EPSILON) - 1.0)


def _single(values: Tensor) -> Tensor:
    return ops.cast(values, "float32")


def _mean(values: Tensor) -> Tensor:
    # Flatten first: scores may have the shape (N,) too.
    return ops.mean(ops.reshape(values, (ops.shape(values)[0], -1)), axis=-1)
