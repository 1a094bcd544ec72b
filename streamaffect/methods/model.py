"""A fitted core as the contract's Model: predict, embed, calibrate, save, export. torch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .contract import Arrays, Float32, check_views
from .cores import Core, build
from .scaling import Scaling
from .state import write_state

_BATCH = 512


class Deployed(nn.Module):
    """The whole of a model as one graph: raw views in the order of ``shapes``, (probabilities, embedding) out."""

    def __init__(self, core: Core, scaling: Scaling, temperature: float) -> None:
        super().__init__()
        self.core = core
        self.temperature = temperature
        self.names = list(scaling.location)
        for i, name in enumerate(self.names):
            self.register_buffer(f"location{i}", torch.as_tensor(scaling.location[name]))
            self.register_buffer(f"scale{i}", torch.as_tensor(scaling.scale[name]))

    def forward(self, *views: Tensor) -> tuple[Tensor, Tensor]:
        cleaned, present = [], []
        for i, x in enumerate(views):
            whole = torch.isfinite(x).float().flatten(1).amin(1)
            standardised = (x - self.get_buffer(f"location{i}")) / self.get_buffer(f"scale{i}")
            there = whole.reshape(-1, *[1] * (x.ndim - 1)) > 0
            cleaned.append(torch.where(there, standardised, torch.zeros_like(x)))
            present.append(whole)
        embedding, logits = self.core(cleaned, torch.stack(present, 1))
        return torch.softmax(logits / self.temperature, 1), embedding


class CoreModel:
    """See :class:`streamaffect.methods.Model`. Lives on the CPU; ``params`` are those of the method that made it."""

    def __init__(
        self,
        method: str,
        shapes: Mapping[str, tuple[int, ...]],
        core: Core,
        scaling: Scaling,
        classes: int,
        params: Mapping[str, Any],
        temperature: float = 1.0,
    ) -> None:
        self.method = method
        self.views = dict(shapes)
        self.classes = classes
        self.core = core.cpu().eval()
        self.scaling = scaling
        self.params = dict(params)
        self.temperature = temperature

    def predict_proba(self, x: Arrays) -> Float32:
        return self._run(x)[0]

    def embed(self, x: Arrays) -> Float32:
        return self._run(x)[1]

    def calibrated(self, temperature: float) -> Self:
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature must be positive, got {temperature}")
        return self._replace(temperature=float(temperature))

    def deployed(self) -> Deployed:
        return Deployed(self.core, self.scaling, self.temperature).eval()

    def export_onnx(self, path: str | Path) -> None:
        from .export import export_onnx

        export_onnx(self.deployed(), self.views, path)

    def save(self, path: str | Path) -> None:
        config = {
            "method": self.method,
            "views": [[name, list(shape)] for name, shape in self.views.items()],
            "classes": self.classes,
            "params": self.params,
            "temperature": self.temperature,
            "core": {"kind": self.core.kind, "spec": self.core.spec()},
        }
        arrays = {f"network/{name}": tensor.numpy() for name, tensor in self.core.state_dict().items()}
        arrays |= {f"location/{name}": value for name, value in self.scaling.location.items()}
        arrays |= {f"scale/{name}": value for name, value in self.scaling.scale.items()}
        write_state(path, config, arrays)

    @classmethod
    def restore(cls, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The model of what :meth:`save` wrote; ValueError where the arrays do not fit the config."""
        try:
            shapes = {str(name): tuple(int(d) for d in shape) for name, shape in config["views"]}
            described = config.get("core", {"kind": "network", "spec": {"shapes": shapes, "classes": config["classes"]}})
            with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
                core = build(described["kind"], described["spec"])
            core.load_state_dict(
                {name.removeprefix("network/"): torch.as_tensor(a) for name, a in arrays.items() if name.startswith("network/")}
            )
            scaling = Scaling(
                {name: arrays[f"location/{name}"] for name in shapes}, {name: arrays[f"scale/{name}"] for name in shapes}
            )
            return cls(config["method"], shapes, core, scaling, config["classes"], config["params"], config["temperature"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"the saved model's arrays do not fit its config: {error}") from error

    def adapted(self, method: str, params: Mapping[str, Any], core: Core, scaling: Scaling) -> Self:
        """A copy with another core and scaling, made by ``method``."""
        return self._replace(method=method, params=dict(params), core=core.cpu().eval(), scaling=scaling)

    def _replace(self, **changes: Any) -> Self:
        twin = copy.copy(self)
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin

    def _run(self, x: Arrays) -> tuple[Float32, Float32]:
        if not isinstance(x, Mapping):
            raise ValueError(f"x must map view names to arrays: {', '.join(self.views)}")  # noqa: TRY004 - as all bad input
        arrays = {name: np.asarray(x[name], dtype=np.float32) for name in self.views if name in x}
        check_views({name: array.shape[1:] for name, array in arrays.items()}, self.views, "x")
        if len(lengths := {len(array) for array in arrays.values()}) != 1:
            raise ValueError(f"views differ in their number of windows: {sorted(lengths)}")
        graph, parts = self.deployed(), list(_batches([torch.from_numpy(np.ascontiguousarray(a)) for a in arrays.values()]))
        with torch.inference_mode():
            outputs = [graph(*part) for part in parts]
        probabilities, embedding = (torch.cat(column).numpy() for column in zip(*outputs, strict=True))
        return probabilities, embedding


def run_batched(run: Callable[[list[Tensor]], Tensor], views: list[Tensor]) -> Tensor:
    """``run`` over batches of the views' rows, without gradient, results joined."""
    with torch.no_grad():
        return torch.cat([run(part) for part in _batches(views)])


def _batches(views: list[Tensor]) -> Iterator[list[Tensor]]:
    for start in range(0, max(1, len(views[0])), _BATCH):
        yield [view[start : start + _BATCH] for view in views]
