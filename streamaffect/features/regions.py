"""EEG: the mean of each part of the head. Few numbers, which stand firmer from person to person than single electrodes."""

from __future__ import annotations

import re

import numpy as np

from streamaffect.features.eeg import BANDS, differential_entropy
from streamaffect.signals import Float32, Window

# The first letters of a site (10-10 system) -> the part of the head.
REGIONS = {
    "frontal": ("FP", "AF", "F"),
    "central": ("FC", "C", "CP"),
    "temporal": ("FT", "T", "TP"),
    "parietal": ("P", "PO"),
    "occipital": ("O",),
}
_OLD_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}  # Klem et al. 1999: the same places
_SITE = re.compile(r"^([A-Z]+)(\d+|Z)$")


def regions(channels: tuple[str, ...]) -> dict[str, list[int]]:
    """The parts of the head that ``channels`` lie on, each with their places; names of no site are left out."""
    found: dict[str, list[int]] = {name: [] for name in REGIONS}
    for i, channel in enumerate(channels):
        label = channel.strip().upper()
        match = _SITE.match(_OLD_NAMES.get(label, label))
        for name, letters in REGIONS.items():
            if match and match[1] in letters:
                found[name].append(i)
    return {name: places for name, places in found.items() if places}


def regional_entropy(window: Window, channels: tuple[str, ...], reference: str) -> Float32:
    """Band differential entropy (regions * 5,), the mean over each region's channels; NaN where a channel is."""
    entropy = differential_entropy(window, channels, reference=reference).reshape(len(channels), len(BANDS)).astype(np.float64)
    return np.concatenate([entropy[places].mean(axis=0) for places in regions(channels).values()]).astype(np.float32)
