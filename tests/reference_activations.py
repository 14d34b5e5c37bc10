"""Activations, their slopes, and clipping, in plain NumPy; part of `reference`.

`a` is what goes into an activation. Complex arguments are split by their real parts.
"""

import numpy as np


def sigmoid(a):
    """1 / (1 + exp(-a)), from the side on which exp cannot overflow."""
    negative = np.real(a) < 0
    e = np.exp(np.where(negative, a, -a))
    return np.where(negative, e, 1.0) / (1.0 + e)


def d_sigmoid(s):
    """The derivative of the sigmoid, in terms of its value."""
    return s * (1 - s)


def d_tanh(t):
    """The derivative of tanh, in terms of its value."""
    return 1 - t * t


def relu(a):
    return np.where(np.real(a) <= 0, 0.0, a)


def d_relu(r):
    """The derivative of relu, in terms of its value."""
    return np.where(np.real(r) > 0, 1.0, 0.0)


def softplus(a):
    """log(1 + exp(a)), from the side on which exp cannot overflow."""
    negative = np.real(a) < 0
    return np.where(negative, 0.0, a) + np.log1p(np.exp(np.where(negative, a, -a)))


def above(a, least):
    return np.real(a) >= least


def absolute(a):
    return np.where(above(a, 0), a, -a)


# ONNX's activations of a and their slopes at a, with its alpha and beta.
ACTIVATIONS = {
    "relu": (lambda a, _, __: relu(a), lambda a, _, __: d_relu(a)),
    "tanh": (lambda a, _, __: np.tanh(a), lambda a, _, __: d_tanh(np.tanh(a))),
    "sigmoid": (lambda a, _, __: sigmoid(a), lambda a, _, __: d_sigmoid(sigmoid(a))),
    "affine": (
        lambda a, alpha, beta: alpha * a + beta,
        lambda a, alpha, beta: alpha * np.ones_like(a),
    ),
    "leakyrelu": (
        lambda a, alpha, _: np.where(above(a, 0), a, alpha * a),
        lambda a, alpha, _: np.where(above(a, 0), 1.0, alpha),
    ),
    "thresholdedrelu": (
        lambda a, alpha, _: np.where(above(a, alpha), a, 0.0),
        lambda a, alpha, _: np.where(above(a, alpha), 1.0, 0.0),
    ),
    "scaledtanh": (
        lambda a, alpha, beta: alpha * np.tanh(beta * a),
        lambda a, alpha, beta: alpha * beta * d_tanh(np.tanh(beta * a)),
    ),
    "hardsigmoid": (
        lambda a, alpha, beta: clip(alpha * a + beta - 0.5, 0.5) + 0.5,
        lambda a, alpha, beta: alpha * d_clip(alpha * a + beta - 0.5, 0.5),
    ),
    "elu": (
        lambda a, alpha, _: np.where(above(a, 0), a, alpha * np.expm1(a)),
        lambda a, alpha, _: np.where(above(a, 0), 1.0, alpha * np.exp(a)),
    ),
    "softsign": (
        lambda a, _, __: a / (1 + absolute(a)),
        lambda a, _, __: 1 / (1 + absolute(a)) ** 2,
    ),
    "softplus": (lambda a, _, __: softplus(a), lambda a, _, __: sigmoid(a)),
}
DEFAULTS = {
    "leakyrelu": (0.01, 0.0),
    "thresholdedrelu": (1.0, 0.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, 0.0),
}


def clip(a, most):
    """Within [-most, most]."""
    bound = np.where(above(a, 0), most, -most)
    return np.where(np.abs(np.real(a)) > most, bound, a)


def d_clip(a, most):
    return np.where(np.abs(np.real(a)) > most, 0.0, 1.0)


class Activation:
    """One of ONNX's, by its name or (name, alpha, beta), of an argument clipped."""

    def __init__(self, entry, most=np.inf):
        name, *numbers = (entry,) if isinstance(entry, str) else entry
        self.f, self.d_f = ACTIVATIONS[name.lower()]
        defaults = DEFAULTS.get(name.lower(), (0.0, 0.0))
        self.alpha, self.beta = (*numbers, *defaults[len(numbers) :])
        self.most = most

    def __call__(self, a):
        return self.f(clip(a, self.most), self.alpha, self.beta)

    def slope(self, a):
        return self.d_f(clip(a, self.most), self.alpha, self.beta) * d_clip(
            a, self.most
        )
