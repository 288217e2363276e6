"""Training losses as pure functions of (truth, estimate) in ``keras.ops``, without layers, optimisers or state."""
