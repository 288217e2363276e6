from . import (
    golden as golden,
    multiply_adds as multiply_adds,
    presets as presets,
    registry as registry,
    weights as weights,
)
from .presets import save_preset as save_preset
from .registry import (
    Description as Description,
    describe as describe,
    hub_folder as hub_folder,
    list_models as list_models,
    load as load,
    load_initial_weights as load_initial_weights,
    preset_folder as preset_folder,
    upload_preset as upload_preset,
)
from .weights import load_weights as load_weights, save_weights_float16 as save_weights_float16
