"""Training losses as pure functions of (truth, estimate) in ``keras.ops``.

They have no layers, optimisers or state.
"""
