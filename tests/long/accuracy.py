#!/usr/bin/env python3
"""Tables of accuracy per dtype and instruction set: activations, layers, gradients.

Activations in ULP at samples of every magnitude. Layers of T = 1000 steps, forward and
backward, as the rms over the draws of the relative error, float32 against the equations
in float64 and float64 against them in long double (tests/reference.py), beside PyTorch
on the same data where it is installed. Prints Markdown; --into docs/... puts it between
the marks of a page. All floats instead of samples: RNNEXT_THOROUGH=1 with the C++ test
test_math.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import reference  # noqa: E402

import rnnext  # noqa: E402
from rnnext import _core  # noqa: E402

try:
    import torch
except ModuleNotFoundError:
    torch = None

CELLS = {
    "rnn_tanh": (rnnext.RNN, "RNN"),
    "lstm": (rnnext.LSTM, "LSTM"),
    "gru": (rnnext.GRU, "GRU"),
}
WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}
BEGIN, END = "<!-- accuracy.py begins -->", "<!-- accuracy.py ends -->"


# ---------------------------------------------------------------- activations


def true_sigmoid(x):
    z = np.exp(-abs(x))
    return np.where(x < 0, z, 1) / (1 + z)


FUNCTIONS = {"exp": np.exp, "sigmoid": true_sigmoid, "tanh": np.tanh}


def samples(rng, dtype, count):
    """Numbers of every size that matters, both signs, without overflow of exp."""
    most = 88.7 if dtype == np.float32 else 709.7
    tiny = 103 if dtype == np.float32 else 744
    parts = [rng.uniform(-tiny, most, count), rng.uniform(-3, 3, count)]
    sizes = 10.0 ** rng.uniform(-30, np.log10(most), count)
    return np.concatenate([*parts, sizes, -sizes]).astype(dtype)


def worst_ulp(name, x):
    exact = FUNCTIONS[name](x.astype(WIDER[x.dtype]))
    found = getattr(_core, name)(x)
    nearest = abs(exact.astype(x.dtype))
    spacing = np.spacing(np.maximum(nearest, np.finfo(x.dtype).tiny))
    return float((abs(found - exact) / spacing).max())


def activations(isas, count, seed):
    rng = np.random.default_rng(seed)
    yield (
        "| function | "
        + " | ".join(f"{dtype}, {isa}" for dtype in WIDER for isa in isas)
        + " |"
    )
    yield "|---|" + "--:|" * (len(WIDER) * len(isas))
    found = defaultdict(list)
    for dtype in WIDER:
        x = samples(rng, dtype, count)
        for isa in isas:
            _core.set_isa(isa)
            for name in FUNCTIONS:
                found[name].append(worst_ulp(name, x))
    for name, errors in found.items():
        yield f"| `{name}` | " + " | ".join(f"{e:.2f}" for e in errors) + " |"


# ---------------------------------------------------------------- layers


def relative(found, truth):
    difference = np.asarray(found).astype(truth.dtype) - truth
    return float(np.sqrt((difference**2).sum() / (truth**2).sum()))


def grouped(y, dx, parameters):
    """Names of the table -> arrays."""
    return {
        "y": [y],
        "dx": [dx],
        "dW": [v for k, v in parameters.items() if k.startswith("weight")],
        "db": [v for k, v in parameters.items() if k.startswith("bias")],
    }


def truth_of(cell, parameters, x, dy):
    wide = WIDER[x.dtype]
    w = {k: v.astype(wide) for k, v in parameters.items()}
    trace = reference.network_forward(w, x.astype(wide), None, cell=cell)
    dx, _, _, rest = reference.network_backward(
        w, trace, dy.astype(wide), None, None, None, cell=cell
    )
    found = grouped(trace.y, dx, rest)
    assert all(a.dtype == wide for arrays in found.values() for a in arrays)
    return found


def ours(layer, x, dy):
    y, _, cache = layer.forward(x)
    gradients = layer.backward(cache, dy)
    return grouped(y, gradients.x, gradients.parameters)


def theirs(name, parameters, x, dy):
    layer = getattr(torch.nn, name)(x.shape[-1], dy.shape[-1])
    layer = layer.to(getattr(torch, str(x.dtype)))
    arrays = {k: torch.tensor(v.copy()) for k, v in parameters.items()}
    layer.load_state_dict(arrays)
    x = torch.tensor(x, requires_grad=True)
    y, _ = layer(x)
    y.backward(torch.tensor(dy))
    found = {k: v.grad.numpy() for k, v in layer.named_parameters()}
    return grouped(y.detach().numpy(), x.grad.numpy(), found)


def layers(isas, options, failures):
    T, N, I, H = options.steps, 4, 32, options.hidden_size
    columns = [*isas, *(["PyTorch"] if torch else [])]
    draws = dict(zip(WIDER, (options.draws, options.double_draws), strict=True))
    yield f"| dtype | cell | array | {' | '.join(columns)} |"
    yield "|---|---|---|" + "--:|" * len(columns)
    for dtype in WIDER:
        for cell, (kind, name) in CELLS.items():
            squares = defaultdict(lambda: defaultdict(list))
            for draw in range(draws[dtype]):
                rng = np.random.default_rng([options.seed, draw])
                x, dy = (rng.standard_normal((T, N, n)).astype(dtype) for n in (I, H))
                parameters = kind(I, H, rng=draw, dtype=dtype).parameters
                truth = truth_of(cell, parameters, x, dy)
                found = {}
                for isa in isas:
                    _core.set_isa(isa)
                    found[isa] = ours(kind(I, H, rng=draw, dtype=dtype), x, dy)
                if torch:
                    found["PyTorch"] = theirs(name, parameters, x, dy)
                for column, arrays in found.items():
                    for array, parts in arrays.items():
                        worst = max(map(relative, parts, truth[array]))
                        squares[array][column].append(worst**2)
            for array, by_column in squares.items():
                rms = {c: float(np.mean(v)) ** 0.5 for c, v in by_column.items()}
                values = " | ".join(f"{rms[c]:.2e}" for c in columns)
                yield f"| {dtype} | {name} | {array} | {values} |"
                if torch and dtype == np.float32:  # 2 %: what draws leave open
                    failures += [
                        f"{name} {array}: {isa} is further from the truth than PyTorch"
                        for isa in isas
                        if isa != "baseline" and rms[isa] > 1.02 * rms["PyTorch"]
                    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--double-draws", type=int, default=20, help="of float64: slow")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=5_000_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--into", type=Path, help="a page with the marks")
    options = parser.parse_args()
    isas = _core.available_isas()
    failures: list[str] = []
    lines = [
        f"Largest error in ULP, {4 * options.samples:,} samples a dtype:",
        "",
        *activations(isas, options.samples, options.seed),
        "",
        (
            f"Relative error of layers, T = {options.steps}, N = 4, I = 32, "
            f"H = {options.hidden_size}, rms over {options.draws} draws (float64: "
            f"{options.double_draws}); of weights and biases the worse array:"
        ),
        "",
    ]
    print("\n".join(lines), flush=True)
    for line in layers(isas, options, failures):
        print(line, flush=True)
        lines.append(line)
    if options.into:
        page = options.into.read_text()
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        text = "\n".join(lines)
        options.into.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
