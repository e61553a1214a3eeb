"""Operators of a TorchScript program for which the same image may get another answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from auditor.models.architecture import Unsteady


def scripted_unsteady(module: torch.jit.ScriptModule) -> Unsteady:
    """Operators that draw or take the batch's mean, on any way through the program."""
    random, batch = [], []
    for node in _all_nodes(module.inlined_graph):
        family, _, name = str(node.kind()).partition("::")
        if family != "aten":
            continue
        given = [value.toIValue() for value in node.inputs()]
        if _is_random(name) and not _is_idle(name, given):
            random.append(name)
        elif "batch_norm" in name and given[5] is True:
            batch.append(name)
    return Unsteady(tuple(random), tuple(batch))


def _all_nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _all_nodes(inner)


def _is_random(name: str) -> bool:
    packet = getattr(torch.ops.aten, name, None)
    overloads = [] if packet is None else [getattr(packet, o) for o in packet.overloads()]
    return any(torch.Tag.nondeterministic_seeded in o.tags for o in overloads)


def _is_idle(name: str, given: list[Any]) -> bool:
    """Whether an operator that may draw does not: out of training, or with a share of 0.

    What is no constant is a flag of the module, which is in evaluation mode.
    """
    if "dropout" in name:
        return given[2] is not True or given[1] == 0
    if name == "scaled_dot_product_attention":
        return not given[4:5] or not given[4]
    return name.startswith("rrelu") and not any(each is True for each in given[3:6])
