from . import (
    factory as factory,
    frozen_model as frozen_model,
    identity as identity,
    identity_layers as identity_layers,
    input_conversion as input_conversion,
    keras_file as keras_file,
    network as network,
    vgg as vgg,
    vgg_face as vgg_face,
    weight_files as weight_files,
)
from .factory import load_feature_network as load_feature_network
