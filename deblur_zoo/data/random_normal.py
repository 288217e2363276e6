"""Gaussian noise as a pure function of a key and a position: the same numbers on the host and on every backend.

Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) needs only
addition, rotation and exclusive or of 32-bit integers. Block i of a key is its output for the counter (i, 0); its two
words become two normal numbers by the Box-Muller transform:

    u = (w0 // 256 + 1) / 2**24 in (0, 1], v = (w1 // 256) / 2**24 in [0, 1)
    z0 = sqrt(-2 log u) cos(2 pi v), z1 = sqrt(-2 log u) sin(2 pi v)

So the largest possible absolute value is sqrt(48 log 2) = 5.77. The first half of an image's numbers are the z0 of all
blocks, the second half the z1. Integers are bit-identical everywhere; log, sine and cosine agree to about 1e-6.
"""

import math
from functools import lru_cache

import numpy as np

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_ROUNDS = 20
_UNIT = 2.0**-24


@lru_cache(maxsize=8)
def _counters(blocks):
    counters = np.arange(blocks, dtype=np.uint32)
    counters.flags.writeable = False
    return counters


def threefry(key, counters):
    """Threefry-2x32-20 in NumPy, in place where possible (it takes half of the time of a pair on the host).

    Args:
        key: two uint32.
        counters: pair of uint32 arrays of one shape.

    Returns:
        pair of uint32 arrays.
    """
    first, second = (np.uint32(word) for word in key)
    schedule = (first, second, first ^ second ^ np.uint32(_PARITY))
    left, right = counters[0] + first, counters[1] + second
    low = np.empty_like(right)
    for round_index in range(_ROUNDS):
        rotation = _ROTATIONS[round_index % 8]
        left += right
        np.left_shift(right, rotation, out=low)
        right >>= 32 - rotation
        right |= low
        right ^= left
        if round_index % 4 == 3:
            group = round_index // 4 + 1
            left += schedule[group % 3]
            # Python's integers, since NumPy warns about the intended wrap-around of scalars.
            right += np.uint32((int(schedule[(group + 1) % 3]) + group) % 2**32)
    return left, right


def standard_normal(key, shape):
    """Independent draws of mean 0 and standard deviation 1, with NumPy.

    Args:
        key: two uint32.
        shape: of the result.

    Returns:
        float32 array.
    """
    count = math.prod(shape)
    blocks = -(-count // 2)
    counters = _counters(blocks)
    left, right = threefry(key, (counters, np.zeros_like(counters)))
    left >>= 8
    right >>= 8
    # Below 2**24 a signed view has the same value, and converts several times faster.
    radius = left.view(np.int32).astype(np.float32)
    radius += 1
    radius *= np.float32(_UNIT)
    np.log(radius, out=radius)
    radius *= -2
    np.sqrt(radius, out=radius)
    angle = right.view(np.int32).astype(np.float32)
    angle *= np.float32(2 * math.pi * _UNIT)
    normal = np.empty((2, blocks), np.float32)
    np.cos(angle, out=normal[0])
    np.sin(angle, out=normal[1])
    normal *= radius
    return normal.reshape(-1)[:count].reshape(shape)


def threefry_tensors(keys, counters):
    """Threefry-2x32-20 in ``keras.ops``.

    Args:
        keys: uint32 (N, 2).
        counters: uint32 (M,), the first counter words; the second are 0.

    Returns:
        pair of uint32 tensors (N, M).
    """
    from keras import ops

    def word(number):
        return ops.convert_to_tensor(np.uint32(number))

    first, second = keys[:, :1], keys[:, 1:]
    schedule = (first, second, ops.bitwise_xor(ops.bitwise_xor(first, second), word(_PARITY)))
    left = counters[None] + first
    right = ops.zeros_like(left) + second
    for round_index in range(_ROUNDS):
        rotation = _ROTATIONS[round_index % 8]
        left = left + right
        low, high = ops.left_shift(right, word(rotation)), ops.right_shift(right, word(32 - rotation))
        right = ops.bitwise_xor(ops.bitwise_or(low, high), left)
        if round_index % 4 == 3:
            group = round_index // 4 + 1
            left = left + schedule[group % 3]
            right = right + schedule[(group + 1) % 3] + word(group)
    return left, right


def standard_normal_tensors(keys, shape):
    """``standard_normal`` for a batch of keys, in ``keras.ops``.

    Args:
        keys: uint32 (N, 2).
        shape: of each image, static.

    Returns:
        float32 tensor (N, *shape).
    """
    from keras import ops

    count = math.prod(shape)
    left, right = threefry_tensors(keys, ops.convert_to_tensor(_counters(-(-count // 2))))
    eight = ops.convert_to_tensor(np.uint32(8))
    radius = ops.cast(ops.cast(ops.right_shift(left, eight), "int32"), "float32")
    radius = ops.sqrt(-2.0 * ops.log((radius + 1.0) * np.float32(_UNIT)))
    angle = ops.cast(ops.cast(ops.right_shift(right, eight), "int32"), "float32") * np.float32(2 * math.pi * _UNIT)
    normal = ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)], axis=1)
    return ops.reshape(normal[:, :count], (-1, *shape))
