"""Blur kernels, convolution with them, and noise.
Kernels are NumPy; convolution and noise are ``keras.ops`` and run on every backend.
"""
