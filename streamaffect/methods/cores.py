"""Cores: what differs between models. A core reads standardised views and tells embedding and logits; kinds by name. torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

from torch import Tensor, nn

_KINDS = {
    "amanda": "amanda_network:AmandaNetwork",
    "ensemble": "ensemble:Ensemble",
    "helo": "helo_network:HeloNetwork",
    "kernel_linear": "linear:KernelLinear",
    "kernel_machine": "kernel_machine:KernelMachine",
    "linear": "linear:Linear",
    "mlp": "mlp:MLP",
    "network": "networks:Network",
    "whitened": "whitened:Whitened",
}


class Core(nn.Module):
    """A module that :func:`build` makes again from ``kind`` and ``spec()``, without its weights; exportable to ONNX."""

    kind: ClassVar[str]
    width: int  # of the embedding, where a method builds on it: networks tell it

    def spec(self) -> dict[str, Any]:
        """The constructor's keyword arguments, as JSON takes them."""
        raise NotImplementedError

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (n, d) and logits (n, C).

        ``views`` in the order of the model's, standardised, zero where missing; ``keep`` (n, views) 1 where the view is
        there, 0 where it is missing.
        """
        raise NotImplementedError


def build(kind: str, spec: Mapping[str, Any]) -> Core:
    """An unfitted core. ValueError for an unknown kind."""
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of model {kind!r}: there are {', '.join(sorted(_KINDS))}")
    module, attribute = _KINDS[kind].split(":")
    made: Core = getattr(import_module(f".{module}", __package__), attribute)(**spec)
    return made
