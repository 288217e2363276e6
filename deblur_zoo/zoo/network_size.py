"""Count a network's weights without allocating them: an untrusted config may ask for any number."""

import math
from concurrent.futures import ThreadPoolExecutor

import keras
from keras import layers

# Far above every preset's.
LARGEST_NUMBER, LONGEST_LIST, LARGEST_DIVISOR = 100_000, 32, 1024
# The largest preset has 270 repeats and lists of 4 numbers; counting takes 10 to 40 ms for each.
MOST_REPEATS, MOST_PARTS = 300, 1100
# Endings of the names of arguments that say how often something is repeated.
_REPEATS = ("modules", "blocks", "units", "depth", "levels", "stages", "recurrences")


class _Built(layers.Layer):
    """A layer that builds a model: called on a symbolic tensor, it computes nothing."""

    def __init__(self, model):
        # Not as a layer of this one, which would build it at once.
        super().__init__(autocast=False)
        self._build_model = lambda: model.build((None, None, None, 3))

    def call(self, images):
        self._build_model()
        return images


def check_network_size(model_class, arguments, most_weights):
    """Reject arguments of a network that is too large, before it takes memory or time.

    Args:
        model_class: class of a ``Deblurrer`` or parser.
        arguments: dict of its constructor's arguments, from JSON.
        most_weights: how many weights it may have.

    Raises:
        ValueError: more weights, or numbers far above those of any preset.
        Whatever the constructor raises.
    """
    repeats, longest = 1, 1
    for name, value in arguments.items():
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) > LONGEST_LIST or any(_is_large(number) for number in numbers):
            raise ValueError(
                f"{name} is {str(value)[:40]}; up to {LONGEST_LIST} numbers of up to {LARGEST_NUMBER:,} are accepted"
            )
        if isinstance(value, list):
            longest = max(longest, len(value))
        if name.endswith(_REPEATS) and isinstance(value, int):
            repeats *= max(1, value)
    # Most lists give a part for each of their numbers.
    if repeats > MOST_REPEATS or repeats * longest > MOST_PARTS:
        raise ValueError(
            f"parts of it are repeated {repeats:,} times, with lists of up to {longest} numbers; up to {MOST_REPEATS} "
            f"times and {MOST_PARTS:,} parts are accepted"
        )
    # In its own thread: Keras lists uninitialised variables per thread and would create them with the next model.
    with ThreadPoolExecutor(1) as thread:
        count = thread.submit(_count_weights, model_class, arguments).result()
    if count > most_weights:
        raise ValueError(f"it would have {count:,} weights; {most_weights:,} is the most that is accepted here")


def _count_weights(model_class, arguments):
    # Variables in this scope have a shape but no memory.
    with keras.StatelessScope(initialize_variables=False):
        model = model_class(**arguments)
        side = model.size_divisor
        if side > LARGEST_DIVISOR:
            raise ValueError(f"it works on multiples of {side:,} pixels; up to {LARGEST_DIVISOR:,} are accepted")
        _Built(model)(keras.Input(batch_shape=(1, side, side, 3)))
        return sum(math.prod(weight.shape) for weight in model.weights)


def _is_large(number):
    return isinstance(number, (int, float)) and not abs(number) <= LARGEST_NUMBER
