"""Options of the cells, alone and together, to try: name -> (cell, options)."""

ACTIVATIONS = [
    "Relu",
    "Tanh",
    "Sigmoid",
    ("Affine", 0.6, 0.1),
    ("LeakyRelu", 0.2),
    ("ThresholdedRelu", 0.1),
    ("ScaledTanh", 0.8, 1.3),
    ("HardSigmoid", 0.3, 0.45),
    ("Elu", 0.7),
    "Softsign",
    "Softplus",
]


def name_of(entry):
    return entry if isinstance(entry, str) else entry[0]


def rotated(count):
    """Every activation first once, with those that follow it."""
    for i in range(len(ACTIVATIONS)):
        yield [ACTIVATIONS[(i + j) % len(ACTIVATIONS)] for j in range(count)]


def activation_cases():
    places = {"rnn_tanh": 1, "lstm": 5, "gru": 3, "gru_reset_before": 3}
    for cell, count in places.items():
        for entries in rotated(count):
            yield f"{cell}-{name_of(entries[0])}", (cell, {"activations": entries})


# What two directions, a list for each, have.
TWO_LISTS = {
    cell: [first, last]
    for cell, count in (("rnn_tanh", 1), ("lstm", 5), ("gru", 3))
    for first, *_, last in [list(rotated(count))]
}

LSTM_OPTIONS = {
    "peephole": {"peephole": True},
    "coupled": {"coupled": True},
    "gate_clip": {"gate_clip": 0.4},
    "cell_clip": {"cell_clip": 0.3},
    "peephole-coupled": {"peephole": True, "coupled": True},
    "peephole-gate_clip": {"peephole": True, "gate_clip": 0.4},
    "peephole-cell_clip": {"peephole": True, "cell_clip": 0.3},
    "coupled-cell_clip": {"coupled": True, "cell_clip": 0.3},
    "everything": {
        "activations": [
            "Softsign",
            "Sigmoid",
            ("ScaledTanh", 0.8, 1.3),
            ("HardSigmoid", 0.3, 0.45),
            ("Elu", 0.7),
        ],
        "peephole": True,
        "coupled": True,
        "gate_clip": 0.9,
        "cell_clip": 0.5,
    },
}

CASES = dict(activation_cases())
CASES |= {f"lstm-{name}": ("lstm", options) for name, options in LSTM_OPTIONS.items()}
CASES |= {
    f"{cell}-gate_clip": (cell, {"gate_clip": 0.4})
    for cell in ("rnn_tanh", "rnn_relu", "gru", "gru_reset_before")
}
CASES |= {
    f"{cell}-two_lists": (cell, {"activations": lists})
    for cell, lists in TWO_LISTS.items()
}
