"""Seed corpora for the harnesses of this folder: small files that are right."""

import json
import sys
import tempfile
from pathlib import Path

import rnnext
import rnnext.onnx
from rnnext.app.checkpoint import Checkpoint


def models():
    gru = rnnext.GRU(1, 2, rng=0)
    yield rnnext.Linear(2, 1, rng=0)
    yield rnnext.Pool("max")
    yield rnnext.LSTM(1, 1, 2, activations=["Relu"] * 5, peephole=True, rng=0)
    yield rnnext.Sequential({"a": gru, "b": rnnext.Linear(2, 1, rng=0)})


def write(folder):
    """Folders `files`, `graphs` and `texts` with what the harnesses begin with."""
    for name in ("files", "graphs", "texts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    trainer = {"step": 1, "progress": 0.5, "seconds": 1.0}
    Checkpoint({}, {"trainer": trainer}, {}).write(str(folder / "files" / "c.npz"))
    for i, model in enumerate(models()):
        for ending in ("npz", "safetensors"):
            rnnext.save(folder / "files" / f"{i}.{ending}", model, metadata={"a": [1]})
        about = {"version": 1, "metadata": {}, "crc32": 1}
        about["model"] = rnnext.files._description(model)
        (folder / "texts" / f"{i}.json").write_text(json.dumps(about))
        if isinstance(model, (rnnext.LSTM, rnnext.GRU)):
            plain = type(model)(1, 1, bidirectional=True, rng=0)
            rnnext.onnx.save(plain, folder / "graphs" / f"{i}.onnx")
    rnnext.onnx.save(rnnext.RNN(1, 1, rng=0), folder / "graphs" / "rnn.onnx")


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    write(Path(where))
    print(where)
