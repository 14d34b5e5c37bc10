"""The sizes that oneDNN's own benchdnn tries, against the reference.

From its lists of shapes for recurrent networks: layers, T, N, I, H, by the names that
it gives them. Sequences and stacks are cut to what takes a second here: of the large
ones T and L, which repeat the same products, never N, I or H.
"""

import pytest
from conftest import Problem, assert_close

SMALL = {
    "uniform": (8, 3, 12, 16, 16),
    "uniform, unroll tail": (4, 3, 20, 36, 36),
    "slc is not sic": (1, 2, 6, 32, 16),
    "slc is not dhc, tail": (1, 1, 7, 17, 34),
    "slc, sic, dhc": (1, 1, 3, 32, 64),
    "slc, sic, dhc, tail": (1, 1, 4, 34, 68),
    "gru, uniform": (14, 10, 12, 16, 16),
    "gru, tail": (10, 14, 10, 17, 17),
    "gru, unroll": (5, 7, 7, 32, 32),
    "gru, unroll tail": (1, 6, 8, 36, 36),
    "large, uniform": (1, 1, 63, 64, 64),
    "large, tail": (1, 1, 34, 65, 65),
    "large, slc": (1, 1, 19, 128, 64),
    "large, dhc, tail": (1, 1, 12, 65, 130),
    "large, slc, dhc": (1, 1, 6, 128, 256),
    "large, slc, dhc, tail": (1, 1, 4, 130, 260),
    "large gru, uniform": (1, 1, 65, 64, 64),
    "large gru, tail": (1, 1, 100, 65, 65),
    "paddlepaddle, inference": (1, 629, 1, 128, 128),
    "exp-0, inference": (1, 10, 1, 512, 128),
    "exp-1, inference": (10, 1, 1, 128, 512),
    "exp-0, training": (1, 10, 32, 512, 128),
}
LARGE = {
    "GNMT, encoder, inference": (1, 30, 1, 512, 512),
    "GNMT, encoder, training": (2, 2, 128, 1024, 1024),
    "GNMT, decoder, inference": (2, 1, 1, 1024, 2048),
    "deepspeech2, inference": (1, 5, 1, 1760, 1760),
    "deepspeech2, training": (1, 2, 32, 1760, 1760),
    "pytorch, training": (1, 5, 64, 500, 500),
    "paddlepaddle, training": (1, 20, 128, 128, 128),
    "RNN-T, encoder": (1, 1, 896, 240, 1024),
}


def assert_right(cell, dtype, shape):
    L, T, N, I, H = shape
    problem = Problem(cell, I, H, N, T, num_layers=L, dtype=dtype)
    outputs, gradients, _ = problem.train()
    assert_close(outputs, problem.true_forward())
    assert_close(gradients, problem.true_gradients())


@pytest.mark.parametrize("shape", SMALL.values(), ids=SMALL)
def test_small(cell, dtype, shape):
    assert_right(cell, dtype, shape)


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_large(cell, shape):
    assert_right(cell, "float64", shape)
