"""The numbers of ONNX Runtime's own tests of LSTM, GRU and RNN.

From onnxruntime/test/providers/cpu/rnn: deep_cpu_lstm_op_test.cc,
deep_cpu_gru_op_test.cc and rnn_op_test.cc (MIT licence); the cases have their names.
"""

import numpy as np
import pytest
from onnx_cases import given_to, numbers, recurrent_model

import rnnext.onnx

TOLERANCE = 2e-5  # what is written there has at best seven digits
# Two cases that are less exact there than ONNX Runtime is.
ROUGH = {"ShorterSeqInMiddle": 1e-4, "ZeroSeqInMiddle": 1e-4}

LSTM_W = """-.494659 .0453352 -.487793 .417264 -.0175329 .489074 -.446013 .414029
            -.0091708 -.255364 -.106952 -.266717 -.0888852 -.428709 -.283349 .208792"""
LSTM_R = """.146626 -.0620289 -.0815302 .100482 -.219535 -.306635 -.28515 -.314112
            -.228172 .405972 .31576 .281487 -.394864 .42111 -.386624 -.390225"""
LSTM_B = """.381619 .0323954 -.14449 .420804 -.258721 .45056 -.250755 .0967895
            0 0 0 0 0 0 0 0"""
LSTM_P = ".2345 .5235 .4378 .3475 .8927 .3456"
GRU_W = """-.494659 .0453352 -.487793 .417264 -.0091708 -.255364 -.106952 -.266717
           -.0888852 -.428709 -.283349 .208792"""
GRU_R = """.146626 -.0620289 -.0815302 .100482 -.228172 .405972 .31576 .281487
           -.394864 .42111 -.386624 -.390225"""
GRU_B = ".381619 .0323954 -.258721 .45056 -.250755 .0967895 0 0 0 0 0 0"
TWO = "-.455351 -.276391 -.185934 -.269585"
OTHERS = ["tanh", "sigmoid", "tanh"]


def twice(array, D):
    return np.concatenate([array] * D)


def compare(op, inputs, expected, lengths=None, tolerance=TOLERANCE, **attributes):
    """expected: of any of Y, Y_h, Y_c."""
    T, N = inputs["X"].shape[:2]
    D, _, H = inputs["R"].shape
    if lengths is not None:
        inputs = inputs | {"sequence_lens": np.array(lengths, np.int32)}
    model = rnnext.onnx.load(
        recurrent_model(op, inputs, hidden_size=H, **attributes).SerializeToString()
    )
    found = model.run(given_to(model, inputs))
    for name, text in expected.items():
        shape = (T, D, N, H) if name == "Y" else (D, N, H)
        difference = np.abs(found[name] - numbers(text, *shape)).max()
        assert difference < tolerance, f"{name}: {difference}"


# Of two hidden units and two inputs: attributes, x (T = 2), parts that are left out or
# added, and what comes out.
LSTM = {
    "ForwardPeepHole": (
        {}, TWO, {},
        {"Y": "-.0251062475 .0561261699 -.03277518 .05935364",
         "Y_h": "-.03277518 .05935364", "Y_c": "-.0780206 .098829"},
    ),
    "BidirectionalBasic": (
        {"direction": "bidirectional"}, TWO, {},
        {"Y": """-.0251062 .0561262 -.0318928 .0762679
                 -.0327752 .0593536 -.0306872 .028035""",
         "Y_h": "-.0327752 .0593536 -.0318928 .0762679",
         "Y_c": "-.0780206 .098829 -.0753684 .120794"},
    ),
    "ForwardNoBiasUsePeepholes": (
        {}, TWO, {"B": None},
        {"Y": ".04154162 .01969122 .05298181 .0030589",
         "Y_h": ".05298181 .0030589", "Y_c": ".11169686 .00625722"},
    ),
    "ForwardInputForget": (
        {"input_forget": 1, "clip": 999.0}, TWO, {},
        {"Y": "-.02510626 .05612619 -.0314321 .05087372",
         "Y_h": "-.0314321 .05087372", "Y_c": "-.07474898 .08480116"},
    ),
    "ForwardClip": (
        {"clip": 0.1}, TWO, {},
        {"Y": "-.02280854 .02744377 -.03516197 .03875681",
         "Y_h": "-.03516197 .03875681", "Y_c": "-.07415761 .07395997"},
    ),
    "Backward": (
        {"direction": "reverse"}, TWO, {},
        {"Y": "-.03189282 .07626793 -.03068724 .02803503",
         "Y_h": "-.03189282 .07626793", "Y_c": "-.07536839 .12079399"},
    ),
    "Backward_gpu": (
        {"direction": "reverse"}, TWO, {"P": None},
        {"Y": "-.033075746 .074455738 -.031248707 .027853041",
         "Y_h": "-.033075746 .074455738", "Y_c": "-.076699793 .11975205"},
    ),
    "ForwardHiddenState": (
        {}, TWO, {"P": None, "initial_h": ".34 .72"},
        {"Y": ".01797521 -.07104912 -.03174796 -.0152949",
         "Y_h": "-.03174796 -.0152949", "Y_c": "-.07285583 -.02545788"},
    ),
    "ForwardCellState": (
        {}, TWO, {"P": None, "initial_h": ".34 .72", "initial_c": ".63 .21"},
        {"Y": ".12797015 .0097284 .02716939 .01842997",
         "Y_h": ".02716939 .01842997", "Y_c": ".06408449 .03139432"},
    ),
    "Activation": (
        {"activations": OTHERS}, TWO, {"P": None},
        {"Y": "-.0660155 .0351227 -.04236888 .0177365",
         "Y_h": "-.04236888 .0177365", "Y_c": ".1624992 .04672481"},
    ),
    "BatchReallocation": (
        {"activations": OTHERS},
        """-.455351 -.476391 -.555351 -.376391 -.655351 -.276391
           -.185934 -.869585 -.285934 -.769585 -.385934 -.669585""", {"P": None},
        {"Y": """-.090715 .011908 -.083193 .037192 -.073643 .068889
                 -.10545 -.01573 -.10621 -.0056667 -.10559 .015734""",
         "Y_h": "-.10545 -.01573 -.10621 -.0056667 -.10559 .015734",
         "Y_c": ".21381 -.096022 .23038 -.0239 .24572 .051626"},
    ),
    "OutputWrite": (
        {"activations": OTHERS * 2, "direction": "bidirectional"},
        """-.455351 -.776391 -.355351 -.576391 -.255351 -.376391
           -.185934 -.169585 -.285934 -.469585 -.385934 -.669585""", {"P": None},
        {"Y": """-.1269719 -.01049645 -.09596697 -.00592083 -.06777587 -.00001902
                 -.12206709 -.0051103 -.08422903 -.00768428 -.05224226 -.0042149
                 -.02778835 .00775075 -.06541093 -.00667958 -.09953593 -.00899231
                 -.04350187 .01127771 -.07949658 -.00425178 -.10883409 -.00926061""",
         "Y_h": """-.02778835 .00775075 -.06541093 -.00667958 -.09953593 -.00899231
                   -.12206709 -.0051103 -.08422903 -.00768428 -.05224226 -.0042149""",
         "Y_c": """.14675268 .01759163 .19898503 -.01828078 .24029977 -.02784352
                   .26577898 -.01694398 .22469461 -.02200207 .18284359 -.01078442"""},
    ),
    "SequenceLengthAllZeros": (
        {"activations": OTHERS * 2, "direction": "bidirectional", "lengths": [0, 0]},
        """-.455351 -.776391 -.355351 -.576391
           -.185934 -.169585 -.285934 -.469585""",
        {"P": None, "initial_h": "1 1 1 1 1 1 1 1"},
        {"Y": "0 " * 16, "Y_h": "0 " * 8, "Y_c": "0 " * 8},
    ),
    "SequenceLengthPartialZeros": (
        {"activations": OTHERS * 2, "direction": "bidirectional", "lengths": [2, 0]},
        "-.455351 -.776391 0 0 -.185934 -.169585 0 0", {"P": None},
        {"Y": """-.1269719 -.01049645 0 0 -.12206709 -.0051103 0 0
                 -.02778835 .00775075 0 0 -.04350187 .01127771 0 0""",
         "Y_h": "-.02778835 .00775075 0 0 -.12206709 -.0051103 0 0",
         "Y_c": ".14675268 .01759163 0 0 .26577898 -.01694398 0 0"},
    ),
    "SequenceLengthShorterThanInputSequenceLength": (
        {"direction": "bidirectional", "lengths": [1]}, TWO,
        {"initial_h": "0 0 -.0306872 .028035", "initial_c": "0 0 -.07243599 .0467052"},
        {"Y": "-.0251062 .0561262 -.0318928 .0762679 0 0 0 0",
         "Y_h": "-.0251062 .0561262 -.0318928 .0762679"},
    ),
    "SequenceLengthShorterThanInputSequenceLengthNoP": (
        {"direction": "bidirectional", "lengths": [1]}, TWO,
        {"B": None, "initial_h": "0 0 -.0306872 .028035",
         "initial_c": "0 0 -.07243599 .0467052"},
        {"Y": ".0415416 .0196912 .0295027 .0334400 0 0 0 0",
         "Y_h": ".0415416 .0196912 .0295027 .0334400"},
    ),
    "ShorterSeqInMiddle": (
        {"direction": "bidirectional", "lengths": [2, 1, 2]},
        """-.455351 -.776391 0 0 .348763 .678345
           -.185934 -.169585 0 0 .078053 .163457""", {"P": None},
        {"Y": """.02907280 .01765226 -.06724346 .02957184 -.15355367 .04701351
                 .01841230 .04093486 -.06724346 .02957184 -.17994503 .07397783
                 -.02912546 .04120104 0 0 -.12768818 .07457943
                 -.04350187 .03531464 0 0 -.08877515 .03413615""",
         "Y_h": """-.0291254 .04120104 -.06724346 .02957184 -.12768818 .07457943
                   .01841230 .04093486 -.06724346 .02957184 -.17994503 .07397783""",
         "Y_c": """-.06609819 .06838701 -.14596788 .04902556 -.26768601 .12119407
                   .04934450 .07126625 -.14596788 .04902556 -.34139895 .11673255"""},
    ),
    "ZeroSeqInMiddle": (
        {"direction": "bidirectional", "lengths": [2, 0, 1, 2]},
        """-.455351 -.776391 0 0 .348763 .678345 .877836 .543859
           -.185934 -.169585 0 0 .078053 .163457 .846098 .987531""", {"P": None},
        {"Y": """.02907280 .01765226 0 0 -.15355367 .04701351 -.12951779 -.00989562
                 .01841230 .04093486 0 0 -.15355367 .04701351 -.17956293 .01607513
                 -.02912546 .04120104 0 0 0 0 -.22162350 .03132058
                 -.04350187 .03531464 0 0 0 0 -.17885581 .01959856""",
         "Y_h": """-.02912546 .04120104 0 0 -.15355367 .04701351 -.22162350 .03132058
                   .01841230 .04093486 0 0 -.15355367 .04701351 -.17956293 .01607513""",
         "Y_c": """-.06609819 .06838701 0 0 -.2894889 .07438067 -.39655977 .05050645
                   .0493445 .07126625 0 0 -.28948891 .07438067 -.34931409 .02799958"""},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LSTM)
def test_lstm(name):
    attributes, x, parts, expected = LSTM[name]
    D = 1 + (attributes.get("direction") == "bidirectional")
    X = numbers(x, 2, -1, 2)
    inputs = {
        "X": X,
        "W": twice(numbers(LSTM_W, 1, 8, 2), D),
        "R": twice(numbers(LSTM_R, 1, 8, 2), D),
        "B": twice(numbers(LSTM_B, 1, 16), D),
        "P": twice(numbers(LSTM_P, 1, 6), D),
    }
    for part, text in parts.items():
        inputs.pop(part, None)
        if text is not None:
            inputs[part] = numbers(text, D, X.shape[1], 2)
    tolerance = ROUGH.get(name, TOLERANCE)
    compare("LSTM", inputs, expected, tolerance=tolerance, **attributes)


BACK = "-.185934 -.269585 -.455351 -.276391"
BOTH = {"direction": "bidirectional"}
AFTER = {"linear_before_reset": 1}
GRU = {
    "ForwardBasic": (
        {}, TWO, "0 0",
        {"Y": "-.03255286 .0774838 -.05556786 .0785508",
         "Y_h": "-.05556786 .0785508"},
    ),
    "BackwardBasic": (
        {"direction": "reverse"}, BACK, "0 0",
        {"Y": "-.05556786 .0785508 -.03255286 .0774838",
         "Y_h": "-.05556786 .0785508"},
    ),
    "BidirectionalBasic": (
        BOTH, TWO, "0 0 0 0",
        {"Y": """-.03255286 .0774838 -.05469977 .1004222
                 -.05556786 .0785508 -.04566499 .04621252""",
         "Y_h": "-.05556786 .0785508 -.05469977 .1004222"},
    ),
    "ForwardActivation": (
        {"activations": ["tanh", "sigmoid"]}, TWO, "0 0",
        {"Y": ".222789 .4669829 .3810334 .4944591", "Y_h": ".3810334 .4944591"},
    ),
    "ForwardInitialHiddenState": (
        {}, TWO, ".5 -.5",
        {"Y": ".2366661 -.1500429 .07378622 -.02782359",
         "Y_h": ".07378622 -.02782359"},
    ),
    "ForwardBatchLinearBeforeReset": (
        AFTER, """-.455351 -.276391 -.455351 -.276391
                  -.185934 -.269585 -.185934 -.269585""", ".5 -.5 0 0",
        {"Y": """.2539424 -.174207777 -.0325528607 .0774837881
                 .0874997079 -.0485242009 -.0577347837 .0796165839""",
         "Y_h": ".0874997079 -.0485242009 -.0577347837 .0796165839"},
    ),
    "GrowBatchSequenceLength": (
        {"lengths": [2, 1]},
        "-.455351 -.276391 -.455351 -.276391 -.185934 -.269585 0 0", ".5 -.5 0 0",
        {"Y": ".2366661 -.1500429 -.03255286 .0774838 .07378622 -.02782359 0 0",
         "Y_h": ".07378622 -.02782359 -.03255286 .0774838"},
    ),
    "GrowBatchSequenceLengthLinearBeforeReset": (
        AFTER | {"lengths": [2, 1]},
        "-.455351 -.276391 -.455351 -.276391 -.185934 -.269585 0 0", ".5 -.5 0 0",
        {"Y": """.2539424 -.174207777 -.0325528607 .0774837881
                 .0874997079 -.0485242009 0 0""",
         "Y_h": ".0874997079 -.0485242009 -.0325528607 .0774837881"},
    ),
    "SequenceLengthWithBidirectionalLinearBeforeReset": (
        BOTH | AFTER | {"lengths": [2, 1]},
        """-.455351 -.276391 .855351 .676391
           -.185934 -.269585 .585934 .669585""", "0 " * 8,
        {"Y": """-.0325528607 .0774837881 -.275918573 -.00228558504
                 -.0559310019 .101836264 -.275918573 -.00228558504
                 -.0577347837 .0796165839 0 0 -.0456649922 .0462125242 0 0"""},
    ),
    "SequenceLengthWithPartialZero": (
        BOTH | {"lengths": [2, 0]},
        "-.455351 -.276391 .455351 .276391 -.185934 -.269585 .185934 .269585",
        "0 0 1 1 0 0 1 1",
        {"Y": """-.03255286 .0774838 0 0 -.05469977 .1004222 0 0
                 -.05556786 .0785508 0 0 -.04566499 .04621252 0 0""",
         "Y_h": "-.05556786 .0785508 0 0 -.05469977 .1004222 0 0"},
    ),
    "SequenceLengthWithBidirectionalLinearBeforeResetB2": (
        BOTH | AFTER, ".855351 .676391 .585934 .669585", "0 0 0 0",
        {"Y": """-.275918573 -.002285585 -.385578573 .0370728001
                 -.382134795 .0607641526 -.24875176 .0347689129""",
         "Y_h": "-.382134795 .0607641526 -.385578573 .0370728001"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRU)
def test_gru(name):
    attributes, x, h_0, expected = GRU[name]
    D = 1 + (attributes.get("direction") == "bidirectional")
    X = numbers(x, 2, -1, 2)
    inputs = {
        "X": X,
        "W": twice(numbers(GRU_W, 1, 6, 2), D),
        "R": twice(numbers(GRU_R, 1, 6, 2), D),
        "B": twice(numbers(GRU_B, 1, 12), D),
        "initial_h": numbers(h_0, D, X.shape[1], 2),
    }
    compare("GRU", inputs, expected, **attributes)


# One input, three hidden units; biases on both sides tell the forms of the reset apart.
BIASED = {
    "BatchParallel": (
        {}, """.16783132 -.11754231 .11977843 .2046872 -.10372487 .15365849
               .22688604 -.19698407 .14017843 .33386092 -.15799662 .2381169""",
    ),
    "BatchParallelLinearBeforeReset": (
        AFTER, """.15024948 -.11097029 -.02121867 .18887489 -.09747667 .02093463
                  .19538902 -.19016478 -.05644283 .30856851 -.15190377 .05999807""",
    ),
    "ReverseBatchParallelLinearBeforeReset": (
        AFTER | {"direction": "reverse"},
        """.20910699 -.18880953 -.04005555 .29700265 -.15308119 .04537245
           .12252139 -.12032216 -.05064924 .21249877 -.08884402 .04751285""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BIASED)
def test_gru_with_bias(name):
    attributes, y = BIASED[name]
    inputs = {
        "X": numbers("-.1 .2 -.3 .4", 2, 2, 1),
        "W": numbers(".1 .2 .3 .2 .3 .1 .3 .1 .2", 1, 9, 1),
        "R": np.full((1, 9, 3), 0.1, np.float32),
        "B": numbers(
            """-.01 .1 .01 -.2 -.02 .02 .3 -.3 -.3
               -.03 .5 -.7 .05 -.7 .3 .07 -.03 .5""", 1, 18
        ),
    }  # fmt: skip
    compare("GRU", inputs, {"Y": y}, **attributes)


def test_gru_positive_activation_alpha_beta():
    """alpha for the first and the last, beta for the last."""
    H = np.arange(32)
    diagonals = [np.diag(0.1 + 0.1 * (H % n)) for n in (2, 3, 5)]
    thirds = np.repeat([0.1, 0.2, 0.3], 32)
    inputs = {
        "X": numbers("1 2", 1, 1, 2),
        "W": twice(np.repeat(thirds, 2).reshape(1, 96, 2), 2).astype(np.float32),
        "R": twice(np.concatenate(diagonals)[None], 2).astype(np.float32),
        "B": twice(np.append(thirds, np.zeros(96))[None], 2).astype(np.float32),
        "initial_h": np.full((2, 1, 32), 0.25, np.float32),
    }
    model = rnnext.onnx.load(
        recurrent_model(
            "GRU", inputs, hidden_size=32, direction="bidirectional",
            activations=["LeakyRelu", "Tanh", "Sigmoid", "ScaledTanh"],
            activation_alpha=[0.5, 2.0], activation_beta=[2.0],
        )
    )  # fmt: skip
    _, y_h = model(*given_to(model, inputs).values())
    first = numbers(
        ".589157104 .577891906 .59649929 .583932266 .602660999 .574613517", 6
    )
    last = numbers(
        ".929764611 .920318863 .931350964 .92173605 .932696545 .919528323", 6
    )
    assert np.abs(y_h[0, 0, :6] - first).max() < TOLERANCE
    assert np.abs(y_h[1, 0, :6] - last).max() < TOLERANCE


# Large inputs: X 1 to 2 and 10, 11, one input, three hidden units, no bias.
LARGE = {
    "lstm forward": (
        "LSTM", {}, """.28828835 .36581863 .45679406 .34526032 .47220859 .55850911
                       .84196719 .89402526 .91073048 .85882828 .90703777 .92382453""",
    ),
    "lstm reverse": (
        "LSTM", {"direction": "reverse"},
        """.55391603 .69201493 .82696019 .64046413 .82303363 .91610711
           .61249432 .70678632 .74094619 .62759886 .71640738 .74624585""",
    ),
    "lstm MixedSequenceLengths": (
        "LSTM", {"lengths": [1, 2]},
        """.28828835 .36581863 .45679406 .34526032 .47220859 .55850911
           0 0 0 .85882828 .90703777 .92382453""",
    ),
    "lstm MixedSequenceLengthsReverse": (
        "LSTM", {"direction": "reverse", "lengths": [2, 1]},
        """.55391603 .69201493 .82696019 .34526044 .47220877 .55850935
           .61249432 .70678632 .74094619 0 0 0""",
    ),
    "gru forward": (
        "GRU", {}, """.4750208 .450166 .4255575 .45016602 .40131235 .35434368
                      .6027093 .5083023 .44950223 .5754369 .45485455 .3747841""",
    ),
    "gru reverse": (
        "GRU", {"direction": "reverse"},
        """.6082785 .50623393 .4426924 .5803454 .4527356 .36886263
           .26894143 .11920292 .04742587 .24973989 .09975048 .03557118""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_large_inputs(name):
    op, attributes, y = LARGE[name]
    rows = {"LSTM": ".1 .2 .3 .4 1 2 3 4 10 11 12 13", "GRU": ".1 .2 .3 1 2 3 10 11 12"}
    W = numbers(rows[op], 1, -1, 1)
    inputs = {"X": numbers("1 2 10 11", 2, 2, 1), "W": W}
    inputs["R"] = np.full((1, W.shape[1], 3), 0.1, np.float32)
    compare(op, inputs, {"Y": y}, **attributes)


def by_time(text, N, T, *rest):
    """Numbers that are written sequence after sequence."""
    return numbers(text, N, T, *rest).swapaxes(0, 1)


ZIGGED_X = """1.64644051 2.14556813 1.80829012 1.63464952 1.27096438 1.93768239
              1.31276166 2.67531896 2.89098835 1.15032458
              1.30798471 .0777787 1.64898741 1.30596721 1.26110339 .99100447 0 0 0 0"""


def test_rnn_bidirectional_bias_initial_zigged_batch():
    inputs = {
        "X": by_time(ZIGGED_X, 2, 5, 2),
        "W": numbers(
            """.4317745 .37378395 -1.0386457 -.22681296 .4418987 .49973935
               .47248289 -.63369429 .89542073 .69698066 .65118814 1.0828459""", 2, 3, 2
        ),
        "R": numbers(
            """-.24072374 -.29326528 -.91741192 .5447638 .53938544 .79502326
               -.59813821 .020413321 -.52225035 -.4292987 -.14766316 -.91084105
               .23699039 .064034894 .089069292 -.12803128 -.081178986 .967533""",
            2, 3, 3
        ),
        "B": numbers(
            """-.44529742 .80094892 -1.0028138 0 0 0
               .57412368 .13440208 -.85748988 0 0 0""", 2, 6
        ),
        "initial_h": np.full((2, 2, 3), 1.2, np.float32),
    }  # fmt: skip
    y_h = """.51060104 -.95055139 -.12672578 -.28076148 -.04275616 -.75480938
             -.71697658 .99646497 .9980582 .1513377 .90150106 .74947751"""
    compare("RNN", inputs, {"Y_h": y_h}, [5, 3], direction="bidirectional")


def test_rnn_reverse_direction_zigged_batch():
    inputs = {
        "X": by_time(
            """.54881352 .71518934 .60276335 .54488319 .42365479 .64589411
               .4375872 .89177299 .96366274 .38344151 .41702199 .720324516
               .0001143748 .30233258 .146755889 .0923385918 0 0 0 0""", 2, 5, 2
        ),
        "W": numbers(
            ".60482931 .67304987 .13166776 -.33417314 .66345924 -.49411628", 1, 3, 2
        ),
        "R": numbers(
            """.50877059 .78382635 .665046 .89860243 -.71745688 .80142093
               -.76517141 -.88981366 -.48568386""", 1, 3, 3
        ),
    }  # fmt: skip
    y_h = ".87014002 .09402763 -.54269236 .64809889 -.19472955 -.24271242"
    compare("RNN", inputs, {"Y_h": y_h}, [5, 3], direction="reverse")


def test_rnn_bidirectional_with_sequence_lens():
    """An activation for each direction."""
    inputs = {
        "X": numbers("1 2 3 4 5 6 3 1 4 4 6 3", 2, 3, 2),
        "W": numbers(".1 .2 .3 .4 .5 .6 .5 .6 .7 .3 .8 .4 .9 .5 .1 .6", 2, 4, 2),
        "R": np.repeat(numbers(".1 .2", 2), 16).reshape(2, 4, 4),
        "B": np.full((2, 8), 0.1, np.float32),
    }
    expected = {
        "Y_h": """.7 1.3 1.9 1.9 2.62 4.22 5.82 5.82 3.26 5.06 6.86 6.86
                  .90514827 .94680595 .97045195 .90514827
                  .99963105 .99990892 .99997759 .99877548
                  .99999332 .99999928 1 .99992537"""
    }
    both = {"direction": "bidirectional", "activations": ["Relu", "Tanh"]}
    compare("RNN", inputs, expected, [1, 2, 2], **both)
