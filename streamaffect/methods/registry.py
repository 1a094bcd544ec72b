"""Methods by name: the built-in ones and those of other packages (entry points ``streamaffect.methods``).

An entry point names a callable that takes the method's parameters as keywords and returns a ``Method``; where its models
can be loaded again, it has ``restore(config, arrays) -> Model``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .contract import Method, Model
from .state import read_state

GROUP = "streamaffect.methods"

_BUILT_IN = {
    "amanda": "amanda:Amanda",
    "coral": "coral:Coral",
    "dan": "dan:DAN",
    "dann": "dann:DANN",
    "dynamic": "dynamic:Dynamic",
    "euclidean_alignment": "euclidean:EuclideanAlignment",
    "helo": "helo:HeLo",
    "m3d": "m3d:M3D",
    "sdcnet": "sdcnet:SDCNet",
    "source": "source:Source",
    "tca": "components:TCA",
    "zscore": "zscore:ZScore",
}


def names() -> list[str]:
    """Every method there is, sorted."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def get(name: str, **params: Any) -> Method:
    """The method with these parameters. ValueError for an unknown name or parameter, listing the valid ones."""
    factory = _factory(name)
    valid = inspect.signature(factory).parameters
    unknown = [key for key in params if key not in valid]
    if unknown and not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in valid.values()):
        raise ValueError(f"method {name!r} has no parameter {unknown[0]!r}: it takes {', '.join(sorted(valid))}")
    return factory(**params)


def load(path: str | Path) -> Model:
    """The model that ``Model.save`` wrote. ValueError where the file is not one, or its method is not known here."""
    config, arrays = read_state(path)
    restore = getattr(_factory(config["method"]), "restore", None)
    if restore is None:
        raise ValueError(f"{path}: method {config['method']!r} cannot load models")
    model: Model = restore(config, arrays)
    return model


def _factory(name: str) -> Callable[..., Method]:
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name].split(":")
        factory: Callable[..., Method] = getattr(import_module(f".{module}", __package__), attribute)
        return factory
    for point in entry_points(group=GROUP, name=name):
        plugin: Callable[..., Method] = point.load()
        return plugin
    raise ValueError(f"unknown method {name!r}: there are {', '.join(names())}")
