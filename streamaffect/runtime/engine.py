"""A bundle's model under ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamaffect.bundle.bundle import MODEL, Bundle
from streamaffect.errors import BundleError, UsageError
from streamaffect.signals import Float32

_BLOCK = 128  # windows predicted at once


@dataclass(frozen=True, slots=True)
class Prediction:
    """``probabilities`` (n, C), rows sum to 1; ``embedding`` (n, d)."""

    probabilities: Float32
    embedding: Float32


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UsageError("no ONNX Runtime here: pip install 'streamaffect[cpu]' (or 'streamaffect[gpu]', not both)") from None
    return onnxruntime


class Engine:
    """Loads, checks and warms the model of ``bundle``; immutable from then on, so that a swap is one reference replaced.

    Raises:
        BundleError: the model does not load, or its inputs and outputs are not those that the manifest names.
    """

    def __init__(self, bundle: Bundle) -> None:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # The default pool spins between calls and burns 40 % of a core in an idle river.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.bundle = bundle
        try:
            self._session = runtime.InferenceSession(str(bundle.path / MODEL), options, providers=_providers(runtime))
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base class but this
            raise BundleError(f"bundle {bundle.path}: ONNX Runtime cannot load {MODEL}: {_first(error)}") from None
        self._check()
        total = self(self.blank()).probabilities.sum()
        if np.isfinite(total) and abs(total - 1) > 1e-3:
            raise BundleError(f"bundle {bundle.path}: {MODEL}'s probabilities sum to {total:.3g}, not to 1: softmax is missing")

    def _check(self) -> None:
        have = {i.name: tuple(i.shape[1:]) for i in self._session.get_inputs()}
        want = self.bundle.input_shapes
        if have != want:
            raise BundleError(f"bundle {self.bundle.path}: {MODEL} reads {have}, {self.bundle.name}'s views give {want}")
        outputs = {o.name: o.shape for o in self._session.get_outputs()}
        if not {"probabilities", "embedding"} <= outputs.keys():
            raise BundleError(f"bundle {self.bundle.path}: {MODEL} has outputs {sorted(outputs)}, not probabilities, embedding")
        width = outputs["probabilities"][-1]
        if isinstance(width, int) and width != len(self.bundle.classes):
            raise BundleError(
                f"bundle {self.bundle.path}: {MODEL} knows {width} classes, the manifest {len(self.bundle.classes)}"
            )

    def blank(self) -> dict[str, Float32]:
        """A batch of one, all zeros: everybody's average."""
        return {key: np.zeros((1, *shape), np.float32) for key, shape in self.bundle.input_shapes.items()}

    def __call__(self, x: Mapping[str, Float32]) -> Prediction:
        """Predict a batch: ``x`` {view key: (n, ...)}."""
        inputs = {key: np.ascontiguousarray(x[key], np.float32) for key in self.bundle.input_shapes}
        n = len(next(iter(inputs.values())))
        try:
            # In blocks: the runtime keeps the memory of its largest batch for good.
            parts = [
                self._session.run(["probabilities", "embedding"], {key: value[i : i + _BLOCK] for key, value in inputs.items()})
                for i in range(0, n, _BLOCK)
            ]
        except Exception as error:  # noqa: BLE001 - as above
            raise BundleError(f"bundle {self.bundle.path}: {MODEL} fails: {_first(error)}") from None
        probabilities, embedding = (np.concatenate(side) for side in zip(*parts, strict=True))
        return Prediction(probabilities, embedding)


def _providers(runtime: Any) -> list[Any]:
    """CUDA where the GPU build is installed, in full single precision as the guard compares it with torch; else the CPU."""
    cuda = "CUDAExecutionProvider" in runtime.get_available_providers()
    return [("CUDAExecutionProvider", {"use_tf32": "0"})] * cuda + ["CPUExecutionProvider"]


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0]
