"""The base of what is no recurrent layer: a map of arrays, with its backward."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from .._cache import Gradients
from .._configured import Configured
from .._parameters import Parametrised

K = TypeVar("K")  # what forward keeps


class LayerCache(NamedTuple, Generic[K]):
    """What `forward` keeps for `backward`: opaque.

    Of the layer with this `repr`; it holds copies of what it needs of the parameters.
    """

    layer: str
    kept: K


class Layer(Configured, Parametrised, Generic[K]):
    """A layer without a state."""

    @cached_property
    def _kind(self) -> str:
        """Whose caches fit."""
        return repr(self)

    def _cache(self, kept: K) -> LayerCache[K]:
        return LayerCache(self._kind, kept)

    def _in_cache(self, cache: LayerCache[K]) -> K:
        """What is in a cache of such a layer."""
        if not isinstance(cache, LayerCache):
            raise TypeError(
                f"cache: expected what forward returned, got {type(cache).__name__}"
            )
        if cache.layer != self._kind:
            raise ValueError(
                f"cache: expected one of {self!r}, got one of {cache.layer}"
            )
        kept: K = cache.kept
        return kept

    @staticmethod
    def _gradients(x: Any, **parameters: Any) -> Gradients[None]:
        return Gradients(x, None, parameters)
