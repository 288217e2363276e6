from . import (
    adversarial as adversarial,
    confidence as confidence,
    content as content,
    identity as identity,
    parsing as parsing,
    perceptual as perceptual,
    reconstruction as reconstruction,
    structural as structural,
)
