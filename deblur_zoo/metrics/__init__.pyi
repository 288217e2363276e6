from . import identity as identity, image_quality as image_quality, parsing as parsing
from .identity import identity_cosine as identity_cosine
from .image_quality import psnr as psnr, ssim as ssim
from .parsing import (
    component_scores as component_scores,
    confusion as confusion,
    f_scores as f_scores,
    group_scores as group_scores,
)
