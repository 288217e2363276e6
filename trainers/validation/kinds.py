"""The small fixed measurement that training is watched and stopped by: development faces, unseen kernels.

Which one it is follows from the model's kind. All have ``score``, the name of the value that decides what is best;
``measure(model)``, a dict from names to values; and ``strip(model)``, a picture to look at.
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
        ValueError: a kind without one, or faces without the labels that it needs.
    """
    if kind not in KINDS:
        raise ValueError(f"models of kind {kind!r} have no measure on development faces; accepted: {', '.join(KINDS)}")
    return KINDS[kind](store, bank, crop_size, identity_network)
