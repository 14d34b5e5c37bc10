"""The libraries that are compared: what each can do and how it is used.

Each has a module here, named as the library is, with

start(threads)            called once, before anything else
calls(case, problem)      name -> function without arguments, ways to make the call: the
                          fastest counts. Its result is a list of arrays: y; of training
                          dx (with tokens the gradient of weight_ih_l0) and the gradient
                          of weight_hh_l0; of a step h.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from cases import Case


@dataclass(frozen=True)
class Peer:
    """A library."""

    title: str
    settings: str  # for the report
    requires: tuple[str, ...]  # modules
    works: tuple[str, ...] = ("inference", "training", "step")
    dtypes: tuple[str, ...] = ("float32", "float64")

    def supports(self, case: Case) -> bool:
        """Whether it can compute the case."""
        return case.work in self.works and case.dtype in self.dtypes

    def missing(self) -> list[str]:
        """Modules that are not installed."""
        return [name for name in self.requires if not importlib.util.find_spec(name)]


OURS = "rnnext"
PEERS = {
    OURS: Peer(
        "rnnext",
        "layers and `step(x, out)` of a stream; training marks the weights as changed "
        "before every call, so that packing them counts",
        ("rnnext",),
    ),
    "torch": Peer(
        "PyTorch",
        "`torch.nn` layers; `inference_mode` but for training, which sets gradients to "
        "None before every call; a step is the faster of cell and layer, T = 1; "
        "lengths by `pack_padded_sequence`, not sorted, tokens by `one_hot`",
        ("torch",),
    ),
    "onnxruntime": Peer(
        "ONNX Runtime",
        "session made once, `ORT_ENABLE_ALL`, intra-op threads as given, inter-op 1; "
        "the faster of `run` and IO binding; lengths and `OneHot` are in the model; "
        "float32 inference is all it has",
        ("onnxruntime", "onnx"),
        ("inference", "step"),
        ("float32",),
    ),
    "openvino": Peer(
        "OpenVINO",
        "model compiled once, `PERFORMANCE_HINT` LATENCY, `INFERENCE_NUM_THREADS` as "
        "given, `INFERENCE_PRECISION_HINT` f32, tensors set once; the faster of "
        "`infer` and `start_async` with `wait`; the model of ONNX Runtime; float32 "
        "inference is all it has",
        ("openvino", "onnx"),
        ("inference", "step"),
        ("float32",),
    ),
    "jax": Peer(
        "JAX",
        "jitted once per case: `lax.scan` over time with the input projection before "
        "it, training by `vjp`; the faster of weights by row and by column; arrays on "
        "the device, `block_until_ready`; XLA takes the CPUs that its process may "
        "use, which are as many as the threads; ragged batches by a mask at every "
        "step, tokens by a gather",
        ("jax",),
    ),
}
