from . import (
    by_class as by_class,
    identity as identity,
    image_quality as image_quality,
    landmarks as landmarks,
    parsing as parsing,
    recognition as recognition,
)
from .by_class import quality_by_class as quality_by_class
from .identity import identity_cosine as identity_cosine
from .image_quality import psnr as psnr, ssim as ssim, ssim_map as ssim_map, ssim_volume as ssim_volume
from .landmarks import (
    area_under_curve as area_under_curve,
    failure_rate as failure_rate,
    landmark_error as landmark_error,
)
from .parsing import (
    component_scores as component_scores,
    confusion as confusion,
    f_scores as f_scores,
    group_scores as group_scores,
)
from .recognition import fold_accuracies as fold_accuracies, ranks as ranks
