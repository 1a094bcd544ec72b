"""A bundle on one person under one protocol: the one core of every evaluation."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from streamaffect.bundle.build import Recipe, Windows, gather
from streamaffect.bundle.bundle import Bundle
from streamaffect.errors import UsageError
from streamaffect.evaluate import offline, online
from streamaffect.evaluate.offline import Learned
from streamaffect.evaluate.played import Played
from streamaffect.runtime.adaptation import AdaptationSettings
from streamaffect.runtime.trigger import Schedule
from streamaffect.signals import Recording

PROTOCOLS = ("online", "transductive", "split")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a person is evaluated. ``params`` and ``seed`` are the method's; ``delay_s``, ``after_s``, ``schedule`` online's."""

    protocol: str
    params: Mapping[str, JsonValue] = field(default_factory=dict)
    seed: int = 0
    delay_s: float = online.DELAY_S
    after_s: float = online.AFTER_S
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise UsageError(f"unknown protocol {self.protocol!r}: there are {', '.join(PROTOCOLS)}")

    def adaptation(self, method: str) -> AdaptationSettings:
        """For the river, without a budget of wall time: how fast this machine is plays no part."""
        return AdaptationSettings(method, self.params, self.schedule, budget_s=None, device="cpu", seed=self.seed)


def recipe_of(bundle: Bundle) -> Recipe:
    """What :func:`gather` needs to see a recording as the bundle does."""
    manifest = bundle.manifest
    return Recipe(manifest.name, bundle.views, tuple(manifest.classes), manifest.hop_s, target=manifest.target)


def bundle_on(
    bundle: Bundle, recording: Recording, method: str | None, settings: Settings, windows: Windows | None = None
) -> Played:
    """``bundle`` on ``recording``, adapted by ``method`` (None: not at all).

    ``windows``: the recording's as :func:`gather` gives them, where they are at hand (``online`` cuts its own).

    Raises:
        ValueError: the recording lacks a signal, or has no trustworthy window.
    """
    if settings.protocol == "online":
        adaptation = None if method is None else settings.adaptation(method)
        with tempfile.TemporaryDirectory(prefix="streamaffect-evaluate-") as work:
            where = Path(work)
            return online.play(bundle, recording, adaptation, where, delay_s=settings.delay_s, after_s=settings.after_s)
    seen = gather([recording], recipe_of(bundle)) if windows is None else windows
    return offline.with_silent(windows_on(Learned.of(bundle), seen, method, settings), bundle, recording)


def windows_on(learned: Learned, windows: Windows, method: str | None, settings: Settings) -> Played:
    """The same where there are windows alone (``transductive`` or ``split``): sets of features that someone else extracted."""
    protocols: Mapping[str, Any] = {"transductive": offline.transductive, "split": offline.split}
    if settings.protocol not in protocols:
        raise UsageError(f"protocol {settings.protocol} needs recordings: features alone take {', '.join(protocols)}")
    played: Played = protocols[settings.protocol](learned, windows, method, settings.params, settings.seed)
    return played
