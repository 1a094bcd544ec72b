"""EEG: what differs between the halves of the head, between front and back, and between the bands of one site."""

from __future__ import annotations

import re

import numpy as np

from streamaffect.features.eeg import BANDS, differential_entropy
from streamaffect.signals import Float32, Float64, Window

_SITE = re.compile(r"^([A-Za-z]+)(\d+|[Zz])$")
_BAND = {band: i for i, band in enumerate(BANDS)}


def pairs(channels: tuple[str, ...]) -> list[tuple[str, str]]:
    """Left and right sites of ``channels`` that mirror each other: odd numbers and the even ones after them (10-20 system)."""
    found = []
    for left in channels:
        match = _SITE.match(left)
        if match and match[2].isdigit() and int(match[2]) % 2:
            right = f"{match[1]}{int(match[2]) + 1}"
            if right in channels:
                found.append((left, right))
    return found


def areas(channels: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Places in ``channels`` of the frontal (F, AF, Fp) and of the parietal sites (P, PO, CP); others, FC among them, are
    neither."""
    letters = [match[1].upper() if (match := _SITE.match(channel)) else "" for channel in channels]
    front = [i for i, name in enumerate(letters) if name in ("F", "AF", "FP")]
    return front, [i for i, name in enumerate(letters) if name in ("P", "PO", "CP")]


def features(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Names of what :func:`asymmetry` makes: each pair's bands; where there is a front and a back, their ratio."""
    names = [f"{left}-{right}.{band}" for left, right in pairs(channels) for band in BANDS]
    return (*names, "frontal_theta-parietal_alpha") if all(areas(channels)) else tuple(names)


def asymmetry(window: Window, channels: tuple[str, ...], reference: str) -> Float32:
    """Differences (pairs * 5 [+ 1],) of log power between the left and the right site of each pair, band by band, half of
    them: DASM, the difference of differential entropies (Duan et al. 2013; Zheng & Lu 2015); NaN where a channel is.

    Last, where ``channels`` have both: mean entropy of frontal theta less that of parietal alpha, which rises with mental load
    (Gevins & Smith, Cerebral Cortex 10(9), 2000). What gain the whole amplifier has cancels out.
    """
    entropy = differential_entropy(window, channels, reference=reference).reshape(len(channels), len(BANDS)).astype(np.float64)
    left, right = ([channels.index(name) for name in side] for side in zip(*pairs(channels), strict=True))
    parts: list[Float64] = [(entropy[left] - entropy[right]).ravel()]
    front, back = areas(channels)
    if front and back:
        parts.append(np.atleast_1d(entropy[front, _BAND["theta"]].mean() - entropy[back, _BAND["alpha"]].mean()))
    return np.concatenate(parts).astype(np.float32)


def relative_power(window: Window, channels: tuple[str, ...], reference: str) -> Float32:
    """Log of each band's share (channels * 5,) in the power of all five, channel by channel: the shape of the spectrum
    without the electrode's own gain. Power is that of the mean entropy, the geometric mean over the window's seconds."""
    entropy = differential_entropy(window, channels, reference=reference).reshape(len(channels), len(BANDS)).astype(np.float64)
    ln_power = 2 * entropy
    top = ln_power.max(axis=1, keepdims=True)
    return np.asarray(ln_power - top - np.log(np.exp(ln_power - top).sum(axis=1, keepdims=True)), np.float32).ravel()
