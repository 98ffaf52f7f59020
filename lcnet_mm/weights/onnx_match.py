"""Pairs of nodes of two networks that compute the same in the same place."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from ..utils.errors import UserError
from .onnx_graph import PARAMETRIC, Graph, Node, is_commuting

# How many nodes a message names.
_NAMED = 2


@dataclass
class Matching:
    """What :func:`match` found.

    Attributes:
        pairs: Nodes with weights, of the file and of the model.
        ends: Those pairs that no other node with weights follows.
        count: All matched nodes, also those without weights.
    """

    pairs: list[tuple[Node, Node]]
    ends: list[tuple[Node, Node]]
    count: int


def match(file: Graph, model: Graph) -> Matching:
    """Match the nodes with weights, and all that lead to them, through hashes of what surrounds each.

    What follows the last node with weights, such as a softmax, the decoding of boxes or an NMS, may differ.

    Args:
        file: The network of a file.
        model: The network of a config.

    Raises:
        UserError: a node of one has no partner in the other, or several could be its partner; it is named.
    """
    hashes = [_hash_inputs(graph) for graph in (file, model)]
    cores = []
    for graph, own, other in zip((file, model), hashes, hashes[::-1], strict=True):
        shared = set(other.values())
        matched = [i for i, node in enumerate(graph.nodes) if node.op in PARAMETRIC and own[i] in shared]
        cores.append(graph.ancestors(matched))
    _require_partners(file, model, cores[0], cores[1])
    places = [_hash_places(graph, own, core) for graph, own, core in zip((file, model), hashes, cores, strict=True)]
    partners: dict[str, list[int]] = defaultdict(list)
    for index, place in places[1].items():
        partners[place].append(index)
    counts = [Counter(place.values()) for place in places]
    _require_unique(file, places[0], counts[0], partners)
    if counts[0] != counts[1]:
        lost = [file.nodes[i] for i, place in places[0].items() if place not in counts[1]]
        raise UserError(f'the networks are connected in another way, first at {lost[0].describe()}')
    pairs = {index: partners[place][0] for index, place in places[0].items() if file.nodes[index].op in PARAMETRIC}
    followed = file.ancestors([source for index in pairs for source in file.nodes[index].inputs])
    return Matching(
        [(file.nodes[i], model.nodes[j]) for i, j in pairs.items()],
        [(file.nodes[i], model.nodes[j]) for i, j in pairs.items() if i not in followed],
        len(places[0]),
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _hash_inputs(graph: Graph) -> dict[int, str]:
    """Return for each node a hash of all that it depends on."""
    found: dict[int, str] = {}
    for index, node in enumerate(graph.nodes):
        inputs = [found[source] for source in node.inputs]
        found[index] = _digest(node.op, node.attrs, sorted(inputs) if is_commuting(node) else inputs)
    return found


def _hash_places(graph: Graph, inputs: dict[int, str], core: set[int]) -> dict[int, str]:
    """Return for each node of the core a hash of all that it depends on and, in the core, all that depends on it."""
    readers: dict[int, list[tuple[str, int]]] = defaultdict(list)
    found: dict[int, str] = {}
    for index in sorted(core, reverse=True):
        node = graph.nodes[index]
        found[index] = _digest(inputs[index], sorted(readers[index]))
        for position, source in enumerate(node.inputs):
            readers[source].append((found[index], 0 if is_commuting(node) else position))
    return found


def _require_partners(file: Graph, model: Graph, file_core: set[int], model_core: set[int]) -> None:
    """Check that every node with weights, of the file and of the model, is in the common core."""
    live = file.ancestors(file.outputs)
    unmatched_file = [
        node
        for index, node in enumerate(file.nodes)
        if node.op in PARAMETRIC and index not in file_core and index in live and not _is_count(node)
    ]
    unmatched_model = [
        node for index, node in enumerate(model.nodes) if node.op in PARAMETRIC and index not in model_core
    ]
    if not unmatched_file and not unmatched_model:
        return
    parts = []
    for nodes, where in ((unmatched_file, 'in the file'), (unmatched_model, 'in the model')):
        if nodes:
            named = ', '.join(node.describe() for node in nodes[:_NAMED])
            parts.append(f'{len(nodes)} {"node is" if len(nodes) == 1 else "nodes are"} only {where} (first: {named})')
    raise UserError('; '.join(parts))


def _require_unique(file: Graph, places: dict[int, str], counts: Counter[str], partners: dict[str, list[int]]) -> None:
    """Check that no node with weights could stand in several places."""
    twins = [
        file.nodes[index]
        for index, place in places.items()
        if file.nodes[index].op in PARAMETRIC and (counts[place] > 1 or len(partners[place]) > 1)
    ]
    if twins:
        names = ', '.join(node.name for node in twins[: 2 * _NAMED])
        raise UserError(f'{len(twins)} nodes are ambiguous, each could be one of several of the model (first: {names})')


def _is_count(node: Node) -> bool:
    """Return whether a linear layer has the weights 0, 1, 2, …: the mean of the distances' distribution."""
    if node.op != 'linear' or node.weight is None:
        return False
    values = node.weight[1].reshape(-1)
    return bool(np.array_equal(values, np.arange(len(values))))
