"""Training losses as pure functions of (truth, estimate) in ``keras.ops``.
No layers, no optimisers, no state.
"""
