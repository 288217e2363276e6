"""An optimiser for convolutions: it replaces each kernel's momentum with the nearest orthogonal matrix."""

import math

import keras
from keras import ops

# Coefficients of the quintic polynomial that drives singular values towards 1 (Jordan et al. 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@keras.saving.register_keras_serializable("deblur_zoo")
class Muon(keras.optimizers.Optimizer):
    """Momentum, orthogonalised by Newton-Schulz iterations, for kernels; Adam for everything else.

    A convolution's kernel (height, width, in, out) is a matrix (height * width * in, out). Its update has singular
    values near 1, times ``0.2 * sqrt(max(rows, columns))``, so that its entries are as large as Adam's usual ones and
    one learning rate serves both (Liu et al. 2025, arXiv:2502.16982, section 2.2). The scale of the momentum cancels.

    Keras's own Muon uses Adam for kernels with four axes, which are nearly all weights here, and its arguments differ
    between the supported versions of Keras.

    Args:
        learning_rate: float or a schedule.
        momentum: of the kernels' gradients, in Nesterov's form.
        iterations_of_newton: Newton-Schulz iterations per step.
        least_side: Adam updates matrices with fewer rows or columns than this.
        beta_1, beta_2, epsilon: Adam's.
        **kwargs: arguments of all Keras optimisers (clipping, moving average, ...).
    """

    def __init__(
        self,
        learning_rate=0.002,
        momentum=0.95,
        iterations_of_newton=5,
        least_side=8,
        beta_1=0.9,
        beta_2=0.99,
        epsilon=1e-7,
        name="muon",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.settings = {
            "momentum": momentum, "iterations_of_newton": iterations_of_newton, "least_side": least_side,
            "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon,
        }  # fmt: skip

    def is_matrix(self, variable):
        """Whether a variable's momentum is orthogonalised."""
        shape = tuple(variable.shape)
        return len(shape) in (2, 4) and min(math.prod(shape[:-1]), shape[-1]) >= self.settings["least_side"]

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momenta = [self.add_variable_from_reference(value, name="momentum") for value in variables]
        self.squares = [
            None if self.is_matrix(value) else self.add_variable_from_reference(value, name="velocity")
            for value in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        place = self._get_variable_index(variable)
        gradient = ops.cast(gradient, variable.dtype)
        learning_rate = ops.cast(learning_rate, variable.dtype)
        if self.squares[place] is None:
            update = self._orthogonal_step(gradient, self.momenta[place])
        else:
            update = self._adam_step(gradient, self.momenta[place], self.squares[place])
        self.assign_sub(variable, learning_rate * update)

    def _orthogonal_step(self, gradient, momentum):
        kept = self.settings["momentum"]
        self.assign(momentum, kept * momentum + gradient)
        ahead = gradient + kept * momentum
        matrix = ops.reshape(ahead, (-1, ahead.shape[-1]))
        scale = 0.2 * math.sqrt(max(matrix.shape))
        return ops.reshape(scale * orthogonalize(matrix, self.settings["iterations_of_newton"]), ahead.shape)

    def _adam_step(self, gradient, momentum, square):
        beta_1, beta_2, epsilon = (self.settings[key] for key in ("beta_1", "beta_2", "epsilon"))
        step = ops.cast(self.iterations + 1, gradient.dtype)
        self.assign(momentum, beta_1 * momentum + (1 - beta_1) * gradient)
        self.assign(square, beta_2 * square + (1 - beta_2) * ops.square(gradient))
        mean = momentum / (1 - ops.power(ops.cast(beta_1, gradient.dtype), step))
        deviation = ops.sqrt(square / (1 - ops.power(ops.cast(beta_2, gradient.dtype), step)))
        return mean / (deviation + epsilon)

    def get_config(self):
        return {**super().get_config(), **self.settings}


def orthogonalize(matrix, iterations=5):
    """Move the singular values of a matrix towards 1 (between about 0.7 and 1.2 after five iterations).

    Args:
        matrix: float32 (rows, columns). Zero stays zero.

    Returns:
        the same shape: nearly U V^T of its singular value decomposition U S V^T.
    """
    upright = matrix.shape[0] > matrix.shape[1]
    result = ops.transpose(matrix) if upright else matrix
    # All singular values at most 1.
    result = result / (ops.norm(result) + 1e-12)
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        square = ops.matmul(result, ops.transpose(result))
        result = a * result + ops.matmul(b * square + c * ops.matmul(square, square), result)
    return ops.transpose(result) if upright else result
