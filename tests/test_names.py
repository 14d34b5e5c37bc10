"""Names that do not exist: the answer says what there is and the nearest of it."""

import copy
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

import rnnext
from rnnext import exchange

LAYER = rnnext.LSTM(3, 4, rng=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: rnnext.LSTM(hidden=4),
            r"LSTM: unknown argument 'hidden'.*\(arguments: input_size, hidden_size, n",
        ),
        (lambda: rnnext.GRU(3, hiden_size=4), "did you mean hidden_size"),
        (lambda: rnnext.RNNCell(3, 4, nonlinearty="relu"), "did you mean nonlinearity"),
        (lambda: rnnext.Linear(3, 4, biases=False), "did you mean bias"),
        (lambda: rnnext.Embedding(3, 4, padding=0), "did you mean padding_idx"),
        (lambda: rnnext.Dropout(rate=0.5), r"\(arguments: p, rng\)"),
        (lambda: rnnext.Adam(lr=0.1), r"Adam: .* 'lr'.*\(arguments: learning_rate, b"),
        (lambda: rnnext.SGD(0.1, momentun=0.9), "did you mean momentum"),
    ],
)
def test_an_unknown_argument_names_the_known(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_constructors_keep_their_signatures():
    assert list(inspect.signature(rnnext.Linear).parameters)[:2] == [
        "in_features",
        "out_features",
    ]
    with pytest.raises(TypeError, match=r"missing 1 required .* 'hidden_size'"):
        rnnext.LSTM(3)


@pytest.mark.parametrize("model", [LAYER, rnnext.Linear(3, 4), rnnext.GRUCell(3, 4)])
def test_a_parameter_is_no_attribute(model):
    name = next(iter(model.parameters))
    message = rf"{name} is a parameter: parameters\['{name}'\] .* assign\({name}=...\)"
    with pytest.raises(AttributeError, match=message):
        setattr(model, name, np.zeros(3))
    assert not hasattr(model, name)


def test_other_attributes_are_as_ever():
    with pytest.raises(AttributeError, match="'LSTM' object has no attribute 'weight'"):
        LAYER.weight  # noqa: B018
    for other in (copy.deepcopy(LAYER), pickle.loads(pickle.dumps(LAYER))):
        other.mine = 1
        assert other.mine == 1


@pytest.mark.parametrize("name", ["exchange", "onnx", "plot", "sklearn", "torch"])
def test_a_module_that_is_not_imported_says_how(name):
    script = f"import rnnext; rnnext.{name}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    expected = f"rnnext.{name} is a module of its own: import rnnext.{name}"
    assert expected in done.stderr.splitlines()[-1]


def test_a_name_that_is_nowhere():
    with pytest.raises(AttributeError, match="'rnnext' has no attribute 'LSMT'"):
        rnnext.LSMT  # noqa: B018
    with pytest.raises(ImportError):
        exec("from rnnext import LSMT")


def test_a_list_of_layers_and_a_batch_alone():
    layers = [rnnext.GRU(3, 4), rnnext.Linear(4, 2)]
    with pytest.raises(TypeError, match=r"got list of 2; Sequential\(\*layers\)"):
        rnnext.Sequential(layers)
    x, y = np.zeros((5, 2, 3), np.float32), np.zeros((5, 2, 2), np.float32)
    model = rnnext.Sequential(*layers)
    with pytest.raises(TypeError, match=r"got ndarray; one batch alone is \[\(x, targ"):
        rnnext.train(model, (x, y), rnnext.mse_loss, rnnext.SGD(0.1))


def test_an_unknown_argument_of_train():
    with pytest.raises(TypeError, match=r"train: unknown argument 'epoch'; .* epochs?"):
        rnnext.train(LAYER, [], rnnext.mse_loss, rnnext.SGD(0.1), epoch=3)


class Tensor:
    """Of a library with numbers that NumPy has not."""

    dtype = "torch.bfloat16"

    def __array__(self, *_, **__):
        raise TypeError("Got unsupported ScalarType BFloat16")


def test_weights_that_numpy_cannot_hold():
    names = "weight_ih_l0", "weight_hh_l0"
    message = r"weight_ih_l0: expected .*, got Tensor of torch.bfloat16; .*\.float\(\)"
    with pytest.raises(TypeError, match=message):
        exchange.from_torch(dict.fromkeys(names, Tensor()))


def test_a_module_in_place_of_its_weights():
    with pytest.raises(TypeError, match=r"got GRU; write \.state_dict\(\)"):
        exchange.from_torch(rnnext.GRU(3, 4))
