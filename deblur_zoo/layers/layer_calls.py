"""Observe the layers inside a model while it runs."""

import contextlib
import contextvars
import functools

_observe = contextvars.ContextVar("observe", default=None)


@contextlib.contextmanager
def watch_layer_calls(model, kinds, observe):
    """Observe a model's layers while the current thread runs it inside the ``with`` block.

    Args:
        model: a built model. It must not be watched twice at the same time; other threads may run it.
        kinds: tuple of layer classes.
        observe: function (layer, inputs, outputs), called after each call of a layer of these classes, and after a
            computation that stands for one and calls ``report_call``.
    """
    watched = [layer for layer in model._flatten_layers() if isinstance(layer, kinds)]
    for layer in watched:
        # Keras looks up a layer's call on the layer itself.
        layer.call = functools.partial(_call_and_report, layer, layer.call)
    token = _observe.set(observe)
    try:
        yield
    finally:
        _observe.reset(token)
        for layer in watched:
            del layer.call


def report_call(layer, inputs, outputs):
    """Tell who watches the current thread's layers that a layer, or a computation with its weights, has run."""
    observe = _observe.get()
    if observe is not None:
        observe(layer, inputs, outputs)


def _call_and_report(layer, call, inputs, *args, **kwargs):
    outputs = call(inputs, *args, **kwargs)
    report_call(layer, inputs, outputs)
    return outputs
