from . import (
    convolution as convolution,
    defocus as defocus,
    kernel_bank as kernel_bank,
    kernels as kernels,
    light as light,
    motion as motion,
    noise as noise,
    paths as paths,
    rasterization as rasterization,
)
