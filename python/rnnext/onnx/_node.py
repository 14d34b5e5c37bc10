"""One node of a graph, its attributes complete and known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import onnx
from numpy.typing import NDArray

Tensor: TypeAlias = NDArray[Any]
Outputs: TypeAlias = "Tensor | tuple[Tensor | None, ...]"


class Node(NamedTuple):
    """What an operator has to know of its place in the graph.

    version: the opset in which the operator became what it is here. attributes: those
    that are written, and the defaults of others that have one. An input or output that
    is left out is an empty name.
    """

    op: str
    name: str
    version: int
    attributes: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def label(self) -> str:
        """Its name, or that of its first output."""
        return self.name or next(filter(None, self.outputs), "")

    def __str__(self) -> str:
        return f"node {self.label!r} ({self.op})"

    def fault(self, message: str) -> ValueError:
        return ValueError(f"{self}: {message}")

    def named(self, error: Exception) -> Exception:
        """The same, with the node in its message."""
        kind = TypeError if isinstance(error, TypeError) else ValueError
        return kind(f"{self}: {error}")


# Of a node that is understood, from its inputs (None: left out) to its outputs.
Computation: TypeAlias = Callable[..., Outputs]


class Operator(NamedTuple):
    """How to compute the nodes of a kind.

    prepare: from a node, and the inputs of it that never change by name, to its
    computation. newest: the last version of the operator that is known.
    """

    prepare: Callable[[Node, Mapping[str, Tensor]], Computation]
    newest: int


def simple(function: Callable[..., Outputs], newest: int) -> Operator:
    """Of a function of a node and its inputs."""

    def prepare(node: Node, constants: Mapping[str, Tensor]) -> Computation:
        return lambda *inputs: function(node, *inputs)

    return Operator(prepare, newest)


def read_node(
    proto: onnx.NodeProto, opset: int, operators: Mapping[str, Operator]
) -> Node:
    """ValueError for an operator, a version of it, or an attribute that is unknown."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
    node = Node(
        proto.op_type,
        proto.name,
        opset,
        {name: _decoded(value) for name, value in attributes.items()},
        tuple(proto.input),
        tuple(proto.output),
    )
    if proto.domain not in ("", "ai.onnx") or node.op not in operators:
        domain = f" of {proto.domain}" if proto.domain else ""
        known = ", ".join(sorted(operators))
        raise node.fault(f"operator {node.op}{domain} is unknown; known are {known}")
    try:
        schema = onnx.defs.get_schema(node.op, opset, "")
    except onnx.defs.SchemaError:
        raise node.fault(f"there is no {node.op} in opset {opset}") from None
    if schema.since_version > operators[node.op].newest:
        raise node.fault(
            f"its version of opset {schema.since_version} is unknown; the newest that "
            f"is known is of opset {operators[node.op].newest}"
        )
    # A name that is no UTF-8 comes as bytes.
    unknown = sorted(map(str, set(attributes) - set(schema.attributes)))
    if unknown:
        raise node.fault(
            f"attribute {', '.join(unknown)} is unknown; known in opset {opset} are "
            f"{', '.join(sorted(schema.attributes)) or 'none'}"
        )
    defaults = {
        name: _decoded(onnx.helper.get_attribute_value(attribute.default_value))
        for name, attribute in schema.attributes.items()
        if attribute.default_value.type != onnx.AttributeProto.UNDEFINED
    }
    return node._replace(
        version=schema.since_version, attributes={**defaults, **node.attributes}
    )


def _decoded(value: Any) -> Any:
    """Strings as str."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [_decoded(item) for item in value]
    return value
