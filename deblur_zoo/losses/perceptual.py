"""Losses on the activations of a frozen network. Each gives one value per image, float32 (N,).

The caller runs the network, from ``deblur_zoo.features``, and passes its activations.
"""

from collections.abc import Callable, Mapping

from deblur_zoo.annotations import Tensor
from deblur_zoo.losses import content


def l1(
    truth_features: Mapping[str, Tensor],
    estimate_features: Mapping[str, Tensor],
    weights: Mapping[str, float] | None = None,
) -> Tensor:
    """Sum over layers of the mean absolute difference (Shen et al. 2020, eq. 8).

    The paper sums over each layer; the mean makes a layer's weight independent of its size.

    Args:
        truth_features, estimate_features: dict of layer name to activations, float (N, ...).
        weights: dict of layer name to factor, with every layer; None for 1.

    Raises:
        ValueError: no layers, or names that differ.
    """
    return _sum_over_layers(content.l1, truth_features, estimate_features, weights)


def l2(
    truth_features: Mapping[str, Tensor],
    estimate_features: Mapping[str, Tensor],
    weights: Mapping[str, float] | None = None,
) -> Tensor:
    """Sum over layers of the mean squared difference (Qi et al. 2020, eq. 4; Yasarla et al. 2020, eq. 5).

    Arguments as those of ``l1``.
    """
    return _sum_over_layers(content.l2, truth_features, estimate_features, weights)


def _sum_over_layers(
    distance: Callable[[Tensor, Tensor], Tensor],
    truth_features: Mapping[str, Tensor],
    estimate_features: Mapping[str, Tensor],
    weights: Mapping[str, float] | None,
) -> Tensor:
    names = sorted(truth_features)
    if not names:
        raise ValueError("A perceptual loss needs at least one layer; no activations were given.")
    for what, given in (("The estimate's activations", estimate_features), ("The weights", weights)):
        if given is not None and sorted(given) != names:
            raise ValueError(
                f"{what} are of layers {sorted(given)}, but the truth's activations are of layers {names}."
            )
    factors = weights or dict.fromkeys(names, 1.0)
    return sum(factors[name] * distance(truth_features[name], estimate_features[name]) for name in names)
