"""The small fixed measurement that monitors training: development faces, unseen kernels.

It depends on the model's kind. All sets have ``score``, the name of the value that selects the best weights;
``measure(model)``, a dict from names to values; and ``strip(model)``, an image for inspection.
"""

from trainers.validation.deblurring_validation import DevelopmentSet
from trainers.validation.parsing_validation import ParsingDevelopmentSet


def _deblurrer_set(store, bank, crop_size, identity_network):
    return DevelopmentSet(store.faces, bank, crop_size, identity_network=identity_network)


def _parser_set(store, bank, crop_size, identity_network):
    return ParsingDevelopmentSet(store.faces, store.labels, crop_size)


# Kind of model to a function of (FaceStore, kernel bank, crop size, identity network or None).
KINDS = {"deblurrer": _deblurrer_set, "parser": _parser_set}


def development_set(kind, store, bank, crop_size, identity_network=None):
    """The development set for models of a kind.

    Args:
        kind: a model class's ``kind``.
        store: FaceStore of development faces.
        bank: kernel bank that is not trained on.
        crop_size: side in pixels.
        identity_network: see ``DevelopmentSet``.

    Raises:
        ValueError: an unknown kind, or faces without the labels that it needs.
    """
    if kind not in KINDS:
        raise ValueError(
            f"models of kind {kind!r} cannot be measured on development faces; accepted: {', '.join(KINDS)}"
        )
    return KINDS[kind](store, bank, crop_size, identity_network)
