"""A model on disk: one ``.npz`` of arrays and a JSON text, no pickle, so that reading a foreign file runs nothing."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = "streamaffect.model/1"


def write_state(path: str | Path, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write both, whole or not at all. ``config`` needs ``method``, the name that :func:`methods.load` looks up."""
    path = Path(path)
    text = json.dumps({**config, "format": FORMAT})
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        named: dict[str, Any] = {f"array/{name}": array for name, array in arrays.items()}
        np.savez(file, config=np.array(text), **named)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_state(path: str | Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """The config and arrays of :func:`write_state`. ValueError for a foreign or truncated file."""
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            config = json.loads(str(file["config"]))
            arrays = {name.removeprefix("array/"): file[name] for name in file.files if name != "config"}
    except (zipfile.BadZipFile, KeyError, EOFError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no saved model: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or "method" not in config:
        raise ValueError(f"{path} is no saved model of format {FORMAT}")
    return config, arrays
