"""Observe the layers inside a model while it runs."""

import contextlib
import threading
from unittest import mock

from keras import layers

from deblur_zoo.layers import resampling


@contextlib.contextmanager
def watch_layer_calls(kinds, observe):
    """Observe every call of layers of some classes that the current thread makes inside the ``with`` block.

    A convolution computed by ``resampling.convolve_doubled`` counts as called. Other threads may run models at the same
    time.

    Args:
        kinds: layer classes, including ``keras.layers.Conv2D``.
        observe: function (the class among ``kinds``, layer, inputs, outputs), called after the layer.
    """
    thread = threading.get_ident()

    def watched(kind):
        original = kind.call

        def call(self, inputs, *args, **kwargs):
            outputs = original(self, inputs, *args, **kwargs)
            if threading.get_ident() == thread:
                observe(kind, self, inputs, outputs)
            return outputs

        return mock.patch.object(kind, "call", call)

    convolve_doubled = resampling.convolve_doubled

    def convolve(convolution, features):
        outputs = convolve_doubled(convolution, features)
        if threading.get_ident() == thread:
            observe(layers.Conv2D, convolution, features, outputs)
        return outputs

    with contextlib.ExitStack() as patches:
        for kind in kinds:
            patches.enter_context(watched(kind))
        patches.enter_context(mock.patch.object(resampling, "convolve_doubled", convolve))
        yield
