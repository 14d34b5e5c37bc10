"""What can stand after what in a chain of layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._recurrent import Recurrent
from .embedding import Embedding
from .linear import Linear
from .pool import Pool


def leaves(layers: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The layers of a chain and of the chains in it, by dotted names."""
    for name, layer in layers.items():
        inner = getattr(layer, "layers", None)
        if inner is None:
            yield name, layer
        else:
            yield from ((f"{name}.{each}", leaf) for each, leaf in leaves(inner))


def check_chain(layers: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether sequences have the batch first, and whether the output has steps.

    ValueError if nothing fits the chain.
    """
    names: dict[int, str] = {}
    orders: dict[bool, str] = {}
    before = pooled = ""
    source, previous, width = "", None, None
    for name, layer in leaves(layers):
        if layer.parameters and id(layer) in names:
            raise ValueError(
                f"layers: {name} is the same layer as {names[id(layer)]}; one layer "
                "has one place"
            )
        names[id(layer)] = name
        if isinstance(layer, Embedding) and before:
            raise ValueError(f"layers: {name} takes ids, so {before} cannot be before")
        takes, gives = _features(layer)
        if takes and width and takes != width:
            raise ValueError(
                f"layers: {name}: expected a layer that takes the {width} features of "
                f"{before}, got {layer!r}"
            )
        if isinstance(layer, (Recurrent, Pool)):
            if pooled:
                raise ValueError(
                    f"layers: {name} needs steps, and after {pooled} there are none"
                )
            if isinstance(layer, Pool) and layer.how == "last":
                _check_ends(name, layer, source, previous)
            orders.setdefault(layer.batch_first, name)
            pooled = name if isinstance(layer, Pool) else ""
        if len(orders) > 1:
            raise ValueError(
                "layers: expected batch_first alike in all, got False in "
                f"{orders[False]} and True in {orders[True]}"
            )
        if gives:
            source, previous = name, layer
        before, width = name, gives or width
    return True in orders, not pooled


def check_carried(model: Any) -> None:
    """ValueError if a state at the end of a piece is none to begin the next with."""
    for name, layer in leaves(getattr(model, "layers", {"model": model})):
        if isinstance(layer, Recurrent) and (layer.bidirectional or layer.reverse):
            raise ValueError(
                f"carry_state: expected layers that run forward, got {name}={layer!r}"
            )


def _check_ends(name: str, pool: Pool, source: str, layer: object) -> None:
    """Of a pool of last steps: that it is as the layer whose features it gets."""
    if not isinstance(layer, Recurrent):
        return
    if layer.reverse or layer.merge != "concat":
        raise ValueError(
            f"layers: {name}: the last step is not the end of what {source} computes "
            "from the end; Pool('mean') or Pool('max') takes all steps"
        )
    if pool.bidirectional != layer.bidirectional:
        raise ValueError(
            f"layers: {name}: expected Pool('last', bidirectional="
            f"{layer.bidirectional}) as {source} is so, got {pool!r}"
        )


def _features(layer: Any) -> tuple[int | None, int | None]:
    """How many it takes and gives; None: any, and as many as it takes."""
    if isinstance(layer, Recurrent):
        return layer.input_size, layer._output_size
    if isinstance(layer, Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, Embedding):
        return None, layer.embedding_dim
    return None, None
