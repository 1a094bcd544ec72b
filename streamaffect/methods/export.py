"""A deployed network as one ONNX file. torch, onnx, onnxscript."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

OUTPUTS = ("probabilities", "embedding")


def export_onnx(graph: nn.Module, shapes: Mapping[str, tuple[int, ...]], path: str | Path) -> None:
    """Write ``graph(*views) -> (probabilities, embedding)``: inputs named as the views, first axis free, weights inside.

    The exporter notes file names of the machine that exported in each node; they are removed.
    """
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            tuple(torch.zeros(2, *shape) for shape in shapes.values()),
            input_names=list(shapes),
            output_names=list(OUTPUTS),
            dynamic_shapes=(tuple({0: batch} for _ in shapes),),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    proto = program.model_proto
    _strip(proto)
    Path(path).write_bytes(proto.SerializeToString())


def _strip(proto: Any) -> None:
    del proto.metadata_props[:]
    graph = proto.graph
    for holder in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own deprecations and its log lines about absent packages, silenced for this call only."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", message=".*axis name.*will not be used", category=UserWarning)
            yield
    finally:
        logger.setLevel(level)
