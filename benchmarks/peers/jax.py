"""JAX: a jitted lax.scan, the input projection before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from cases import Case, Problem


def start(threads: int) -> None:
    # XLA takes as many threads as the process has CPUs, which the worker has seen to.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)


def calls(case: Case, problem: Problem) -> dict[str, Callable[[], list[Any]]]:
    """With weights as PyTorch lays them out, and transposed beforehand."""
    make = {"inference": _inference, "training": _training, "step": _steps}[case.work]
    x, dy = jnp.asarray(problem.x), jnp.asarray(problem.dy)
    rows = {k: jnp.asarray(v) for k, v in problem.parameters.items()}
    columns = {k: jnp.asarray(v.T.copy()) for k, v in problem.parameters.items()}
    return {
        "weights by row": make(case, rows, x, dy, jnp.transpose),
        "weights by column": make(case, columns, x, dy, lambda w: w),
    }


Turn = Callable[[Any], Any]  # a weight as it is kept, to (inputs, G * H)


def _inference(
    case: Case, parameters: Any, x: Any, dy: Any, turn: Turn
) -> Callable[[], list[Any]]:
    infer = jax.jit(lambda parameters, x: _network(case, parameters, x, turn))
    return lambda: [infer(parameters, x).block_until_ready()]


def _training(
    case: Case, parameters: Any, x: Any, dy: Any, turn: Turn
) -> Callable[[], list[Any]]:
    @jax.jit
    def train(parameters: Any, x: Any, dy: Any) -> Any:
        def network(parameters: Any, x: Any) -> Any:
            return _network(case, parameters, x, turn)

        if case.tokens:  # integers have no gradient
            y, back = jax.vjp(lambda parameters: network(parameters, x), parameters)
            return y, (*back(dy), None)
        y, back = jax.vjp(network, parameters, x)
        return y, back(dy)

    by_row = turn is jnp.transpose

    def call() -> list[Any]:
        _, (gradients, dx) = jax.block_until_ready(train(parameters, x, dy))
        first = gradients["weight_ih_l0"] if case.tokens else dx
        d_weight = gradients["weight_hh_l0"]
        if by_row:
            return [first, d_weight]
        return [first.T if case.tokens else first, d_weight.T]

    return call


def _steps(
    case: Case, parameters: Any, x: Any, dy: Any, turn: Turn
) -> Callable[[], list[Any]]:
    @jax.jit
    def advance(weights: Any, x: Any, state: Any) -> Any:
        w_ih, w_hh, b_ih, b_hh = weights
        return _cell(case.cell, x @ turn(w_ih) + b_ih, state, turn(w_hh), b_hh)

    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [parameters[name] for name in names]
    zero = jnp.zeros((case.shape[1], case.shape[3]), x.dtype)
    state = (zero, zero) if case.cell == "lstm" else zero
    x_t = x[0]

    def step() -> list[Any]:
        nonlocal state
        state = jax.block_until_ready(advance(weights, x_t, state))
        return [state[0] if isinstance(state, tuple) else state]

    return step


def _network(case: Case, parameters: Any, x: Any, turn: Turn) -> Any:
    zero = jnp.zeros((case.shape[1], case.shape[3]), case.dtype)
    start = (zero, zero) if case.cell == "lstm" else zero
    exists = jnp.arange(case.shape[0])[:, None, None] < case.lengths[:, None]
    for layer in range(case.layers):
        outputs = []
        for direction in range(case.directions):
            end = f"_l{layer}" + ("_reverse" if direction else "")
            w_hh, b_hh = (
                turn(parameters["weight_hh" + end]),
                parameters["bias_hh" + end],
            )
            w_ih, b_ih = (
                turn(parameters["weight_ih" + end]),
                parameters["bias_ih" + end],
            )

            def step(state: Any, at: Any, w_hh: Any = w_hh, b_hh: Any = b_hh) -> Any:
                a, exists = at
                new = _cell(case.cell, a, state, w_hh, b_hh)
                if not case.ragged:
                    return new, new[0] if case.cell == "lstm" else new
                kept = jax.tree.map(lambda n, s: jnp.where(exists, n, s), new, state)
                h = new[0] if case.cell == "lstm" else new
                return kept, jnp.where(exists, h, 0)

            inputs = (w_ih[x] if case.tokens and not layer else x @ w_ih) + b_ih
            at = inputs, exists
            _, y = jax.lax.scan(step, start, at, reverse=direction == 1)
            outputs.append(y)
        x = jnp.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
    return x


def _cell(cell: str, inputs: Any, state: Any, w_hh: Any, b_hh: Any) -> Any:
    """The next state; inputs are the projection of x_t and its bias."""
    h = state[0] if cell == "lstm" else state
    recurrent = h @ w_hh + b_hh
    if cell == "rnn":
        return jnp.tanh(inputs + recurrent)
    if cell == "gru":
        (xr, xz, xn), (hr, hz, hn) = (jnp.split(a, 3, -1) for a in (inputs, recurrent))
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
        return (1 - z) * n + z * h
    i, f, g, o = jnp.split(inputs + recurrent, 4, -1)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c
