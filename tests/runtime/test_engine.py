"""Bundles that must not be served are refused in one line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from streamaffect.bundle import registry
from streamaffect.bundle.bundle import MODEL, Bundle, write
from streamaffect.errors import BundleError
from streamaffect.runtime.engine import Engine


def test_batch_and_single_agree(engine):
    rng = np.random.default_rng(0)
    x = {key: rng.normal(size=(7, *shape)).astype(np.float32) for key, shape in engine.bundle.input_shapes.items()}
    together = engine(x)
    singly = np.concatenate([engine({k: v[i : i + 1] for k, v in x.items()}).probabilities for i in range(7)])
    assert np.abs(together.probabilities - singly).max() < 1e-5
    assert np.allclose(together.probabilities.sum(axis=1), 1, atol=1e-6)


def test_file_that_is_no_model_is_refused(bundle, tmp_path):
    broken = write(tmp_path / "broken", bundle.manifest, lambda work: (work / MODEL).write_bytes(b"not a graph") and None)
    with pytest.raises(BundleError, match="ONNX Runtime cannot load"):
        Engine(broken)


def test_model_of_other_views_is_refused(bundle):
    other = Bundle.load(registry.find("eeg-load"))
    manifest = bundle.manifest.model_copy(update={"views": other.manifest.views})
    with pytest.raises(BundleError, match="views give"):
        Engine(replace(bundle, views=other.views, manifest=manifest))


def test_without_onnx_runtime_the_extra_is_named(bundle):
    code = f"""
import sys; sys.modules["onnxruntime"] = None
from pathlib import Path
from streamaffect.bundle.bundle import Bundle
from streamaffect.runtime.engine import Engine
try:
    Engine(Bundle.load(Path({str(bundle.path)!r})))
except Exception as error:
    print(type(error).__name__, error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.startswith("UsageError no ONNX Runtime here: pip install 'streamaffect[cpu]'")
