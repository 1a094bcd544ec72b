"""Physical units: what recordings and streams say, and what the pipeline reckons in."""

from __future__ import annotations

from streamaffect.signals import Modality

CANONICAL: dict[Modality, str] = {
    Modality.ECG: "uV",
    Modality.EEG: "uV",
    Modality.EMG: "uV",
    Modality.EDA: "uS",
    Modality.TEMP: "degC",
    Modality.ACC: "g",
    Modality.PPG: "au",
    Modality.RESP: "au",
}
# canonical unit -> its spellings and those of its multiples, in lower case, with the factor to it
_FACTORS: dict[str, dict[str, float]] = {
    "uV": {
        **dict.fromkeys(("uv", "µv", "μv", "microvolt", "microvolts"), 1.0),
        **dict.fromkeys(("mv", "millivolt", "millivolts"), 1e3),
        **dict.fromkeys(("v", "volt", "volts"), 1e6),
        **dict.fromkeys(("nv", "nanovolt", "nanovolts"), 1e-3),
    },
    "uS": {
        **dict.fromkeys(("us", "µs", "μs", "microsiemens"), 1.0),
        **dict.fromkeys(("ms", "millisiemens"), 1e3),
        **dict.fromkeys(("s", "siemens"), 1e6),
        **dict.fromkeys(("ns", "nanosiemens"), 1e-3),
    },
    "degC": dict.fromkeys(("degc", "°c", "c", "celsius", "degree celsius", "degrees celsius"), 1.0),
    "g": {
        "g": 1.0,
        "mg": 1e-3,
        "1/64g": 1 / 64,  # the Empatica E4's own
        **dict.fromkeys(("m/s^2", "m/s2", "m/s²"), 1 / 9.80665),
    },
    "au": {},
}


def spellings(modality: Modality) -> tuple[str, ...]:
    """The units of ``modality`` that are known, in lower case; empty where it has no unit to convert."""
    return tuple(_FACTORS[CANONICAL[modality]])


def factor(modality: Modality, unit: str) -> float | None:
    """What to multiply by to get the modality's canonical unit; None for a unit that is not known.

    Without a unit, samples are taken to be in the canonical one already; light and breath have no unit to convert.
    """
    known = _FACTORS[CANONICAL[modality]]
    return known.get(unit.strip().lower()) if unit.strip() and known else 1.0
