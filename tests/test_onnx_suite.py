"""ONNX's own tests of its operators, through its `BackendTest`."""

import re
import unittest
import warnings

import pytest
from onnx.backend.test import BackendTest
from onnx.backend.test.loader import load_model_tests

import rnnext.onnx.backend
from rnnext.onnx import _arithmetic, _arrangement
from rnnext.onnx._recurrent import OPERATORS as RECURRENT

RECURRENT_TESTS = [
    "gru_batchwise",
    "gru_bidirectional",
    "gru_defaults",
    "gru_reverse",
    "gru_seq_length",
    "gru_with_initial_bias",
    "lstm_batchwise",
    "lstm_bidirectional",
    "lstm_defaults",
    "lstm_reverse",
    "lstm_with_initial_bias",
    "lstm_with_peepholes",
    "rnn_seq_length",
    "simple_rnn_batchwise",
    "simple_rnn_bidirectional",
    "simple_rnn_defaults",
    "simple_rnn_reverse",
    "simple_rnn_with_initial_bias",
]
# Not has not changed since opset 1, of which ONNX makes its test.
SIMPLE = sorted({*_arithmetic.OPERATORS, *_arrangement.OPERATORS} - {"Not"})
# Element types that NumPy does not have, other types than tensors, training.
FOREIGN = re.compile(
    "BFLOAT16|FLOAT8|FLOAT4|INT4|INT2|_string|_sequence|_opt|^training_dropout"
)


@pytest.fixture(scope="module")
def suite():
    """ONNX's tests of nodes on the CPU: by name, the test and its operators."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the suite's own arithmetic
        models = load_model_tests(kind="node")
        cases = BackendTest(rnnext.onnx.backend, __name__).test_cases
    kind = cases["OnnxBackendNodeModelTest"]
    return {
        case.name.removeprefix("test_"): (
            kind(f"{case.name}_cpu"),
            {node.op_type for node in case.model.graph.node},
        )
        for case in models
    }


def run(test):
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test.run(result)
    faults = [text for _, text in result.errors + result.failures]
    assert not faults, f"{test}: {faults[0]}"
    assert not result.skipped, result.skipped


@pytest.mark.parametrize("name", RECURRENT_TESTS)
def test_recurrent(suite, name):
    test, _ = suite[name]
    run(test)


def test_there_are_no_other_recurrent_ones(suite):
    names = [name for name, (_, operators) in suite.items() if operators & {*RECURRENT}]
    assert sorted(names) == RECURRENT_TESTS


@pytest.mark.parametrize("operator", SIMPLE)
def test_simple(suite, operator):
    """All in which there is no other operator than ours."""
    known = {*SIMPLE}
    found = [
        test
        for name, (test, operators) in suite.items()
        if operator in operators and operators <= known and not FOREIGN.search(name)
    ]
    assert found
    for test in found:
        run(test)
