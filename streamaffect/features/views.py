"""Views: named, versioned transforms of a window into the array a model reads. What a view computes never changes; a better
one gets a new version."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points

import numpy as np

from streamaffect.features import (
    acc,
    asymmetry,
    covariance,
    ecg,
    eda,
    eeg,
    emg,
    helo,
    hrvfreq,
    ppg,
    prv,
    regions,
    resp,
    rhythm,
    temp,
    tonic,
)
from streamaffect.signals import Float32, Modality, Window

Params = Mapping[str, float | str | list[str]]
_LOG = logging.getLogger(__name__)
_TOLD: set[tuple[str, str]] = set()  # views and kinds of trouble that the log has already


@dataclass(frozen=True, slots=True)
class View:
    """``compute`` turns a window of ``seconds`` of ``modality`` into an array of ``shape``; NaN where it cannot.

    ``features`` names the elements of a vector view; a raw view has none. Vector views are normalised per person.
    ``covariances``: of how many log-covariances a vector is made (see :func:`spd.to_vector`), 0 where it is made of none.
    """

    name: str
    params: Params
    modality: Modality
    seconds: float
    shape: tuple[int, ...]
    features: tuple[str, ...]
    compute: Callable[[Window], Float32]
    covariances: int = 0

    @property
    def key(self) -> str:
        """The name without its version: the model's input name."""
        return self.name.split("/")[0]

    @property
    def is_vector(self) -> bool:
        return len(self.shape) == 1

    @property
    def layout(self) -> str:
        """Hash of all that decides what each element means: a bundle refuses to load where it differs."""
        what = {"name": self.name, "params": dict(self.params), "shape": self.shape, "features": self.features}
        return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def __call__(self, window: Window) -> Float32:
        """The array of the window's last ``seconds``. An extractor that fails makes NaN and a warning, not a dead river."""
        try:
            x = np.asarray(self.compute(window.last(self.seconds)), np.float32)
        except Exception as error:  # noqa: BLE001 - a plug-in's code may raise anything
            _warn(self.name, type(error).__name__, str(error))
        else:
            if x.shape == self.shape:
                return x
            _warn(self.name, "shape", f"made {x.shape}, promised {self.shape}")
        return np.full(self.shape, np.nan, np.float32)


def _warn(name: str, kind: str, what: str) -> None:
    """Once for each kind of trouble: a view that fails does so at every hop."""
    if (name, kind) not in _TOLD:
        _TOLD.add((name, kind))
        _LOG.warning("view %s failed, its windows abstain: %s: %s", name, kind, what)


def ecg_raw(*, rate: float = 128.0, seconds: float = 10.0) -> View:
    """``ecg.raw/1`` (1, rate * seconds): the first lead, standardised."""
    shape = (1, round(rate * seconds))
    params: Params = {"rate": rate, "seconds": seconds}
    return View("ecg.raw/1", params, Modality.ECG, seconds, shape, (), partial(ecg.raw, rate=rate, seconds=seconds))


def ecg_hrv(*, seconds: float = 30.0) -> View:
    """``ecg.hrv/1`` (6,): heart-rate variability."""
    params: Params = {"seconds": seconds}
    return View("ecg.hrv/1", params, Modality.ECG, seconds, (len(ecg.HRV_FEATURES),), ecg.HRV_FEATURES, ecg.hrv)


def eeg_de(*, channels: list[str], seconds: float = 4.0, reference: str = "average") -> View:
    """``eeg.de/1`` (channels * 5,): differential entropy of five bands in one-second windows, averaged over ``seconds``."""
    return _de("eeg.de/1", channels, seconds, reference)


def _de(name: str, channels: list[str], seconds: float, reference: str) -> View:
    _check_reference(name, reference)
    names = tuple(f"{channel}.{band}" for channel in channels for band in eeg.BANDS)
    compute = partial(eeg.differential_entropy, channels=tuple(channels), reference=reference)
    return _vector(name, Modality.EEG, seconds, names, compute, channels=list(channels), reference=reference)


def _check_reference(name: str, reference: str) -> None:
    if reference not in ("average", "none"):
        raise ValueError(f"view {name}: reference must be 'average' or 'none', got {reference!r}")


def eeg_asym(*, channels: list[str], seconds: float = 4.0, reference: str = "average") -> View:
    """``eeg.asym/1`` (pairs * 5 [+ 1],): left less right log power, of the pairs among ``channels``; front against back."""
    _check_reference("eeg.asym/1", reference)
    sites = tuple(channels)
    if not asymmetry.pairs(sites):
        raise ValueError(f"view eeg.asym/1: no left and right site among {', '.join(sites)}: name pairs such as F3, F4")
    compute = partial(asymmetry.asymmetry, channels=sites, reference=reference)
    names = asymmetry.features(sites)
    return _vector("eeg.asym/1", Modality.EEG, seconds, names, compute, channels=list(channels), reference=reference)


def eeg_relpower(*, channels: list[str], seconds: float = 4.0, reference: str = "average") -> View:
    """``eeg.relpower/1`` (channels * 5,): log share of each band in a channel's power."""
    _check_reference("eeg.relpower/1", reference)
    names = tuple(f"{channel}.{band}" for channel in channels for band in eeg.BANDS)
    compute = partial(asymmetry.relative_power, channels=tuple(channels), reference=reference)
    return _vector("eeg.relpower/1", Modality.EEG, seconds, names, compute, channels=list(channels), reference=reference)


def eeg_regions(*, channels: list[str], seconds: float = 10.0, reference: str = "average") -> View:
    """``eeg.regions/1`` (regions * 5,): differential entropy of five bands, averaged over the parts of the head."""
    _check_reference("eeg.regions/1", reference)
    there = regions.regions(tuple(channels))
    if not there:
        raise ValueError(f"view eeg.regions/1: none of {', '.join(channels)} is a site of the 10-20 system")
    names = tuple(f"{region}.{band}" for region in there for band in eeg.BANDS)
    compute = partial(regions.regional_entropy, channels=tuple(channels), reference=reference)
    return _vector("eeg.regions/1", Modality.EEG, seconds, names, compute, channels=list(channels), reference=reference)


def eeg_cov(
    *,
    channels: list[str],
    bands: list[str] | None = None,
    seconds: float = 8.0,
    shrink: float = 0.05,
    reference: str = "average",
) -> View:
    """``eeg.cov/1`` (bands * c (c + 1) / 2,): log of the spatial covariance, of 1 to 45 Hz ("all") or of named ``bands``."""
    name, kept = "eeg.cov/1", [covariance.ALL] if bands is None else list(bands)
    _check_reference(name, reference)
    if not kept or not set(kept) <= covariance.RANGES.keys():
        raise ValueError(f"view {name}: bands must be among {', '.join(covariance.RANGES)}, got {kept}")
    if not 0 < shrink < 1:
        raise ValueError(f"view {name}: shrink must be between 0 and 1, got {shrink}")
    sites, ranges = tuple(channels), tuple(kept)
    compute = partial(covariance.ln_covariance, channels=sites, bands=ranges, shrink=shrink, reference=reference)
    names = covariance.features(sites, ranges)
    params: dict[str, float | str | list[str]] = {"channels": list(channels), "bands": kept}
    view = _vector(name, Modality.EEG, seconds, names, compute, **params, shrink=shrink, reference=reference)
    return replace(view, covariances=len(ranges))


def eda_stats(*, seconds: float = 30.0) -> View:
    """``eda.stats/1`` (5,): level, slope and responses of the skin conductance."""
    params: Params = {"seconds": seconds}
    return View("eda.stats/1", params, Modality.EDA, seconds, (len(eda.EDA_FEATURES),), eda.EDA_FEATURES, eda.stats)


def ppg_pulse(*, seconds: float = 30.0) -> View:
    """``ppg.pulse/1`` (5,): rate, variability and height of the pulse."""
    params: Params = {"seconds": seconds}
    return View("ppg.pulse/1", params, Modality.PPG, seconds, (len(ppg.PULSE_FEATURES),), ppg.PULSE_FEATURES, ppg.pulse)


def _vector(
    name: str,
    modality: Modality,
    seconds: float,
    features: tuple[str, ...],
    compute: Callable[[Window], Float32],
    **more: float | str | list[str],
) -> View:
    return View(name, {**more, "seconds": seconds}, modality, seconds, (len(features),), features, compute)


def temp_stats(*, seconds: float = 30.0) -> View:
    """``temp.stats/1`` (3,): level, slope and spread of the skin temperature."""
    return _vector("temp.stats/1", Modality.TEMP, seconds, temp.TEMP_FEATURES, temp.stats)


def eda_tonic(*, seconds: float = 60.0) -> View:
    """``eda.tonic/1`` (8,): tonic level and slope of the skin conductance, number, height and course of its responses."""
    return _vector("eda.tonic/1", Modality.EDA, seconds, tonic.TONIC_FEATURES, tonic.parts)


def ppg_prv(*, seconds: float = 60.0, bands: str = "none") -> View:
    """``ppg.prv/1`` (14 + bands,): pulse rate variability in time and, by ``bands``, in frequency; the pulse's shape."""
    _check_bands("ppg.prv/1", bands, seconds)
    compute = partial(prv.prv, bands=bands)
    return _vector("ppg.prv/1", Modality.PPG, seconds, prv.features(bands), compute, bands=bands)


def acc_stats(*, seconds: float = 30.0) -> View:
    """``acc.stats/1`` (8,): posture and movement of a limb."""
    return _vector("acc.stats/1", Modality.ACC, seconds, acc.ACC_FEATURES, acc.stats)


def ecg_hrvfreq(*, seconds: float = 60.0, bands: str = "lf+hf") -> View:
    """``ecg.hrvfreq/1`` (11 + bands,): heart-rate variability in time and frequency, the breath in the R-waves."""
    _check_bands("ecg.hrvfreq/1", bands, seconds)
    compute = partial(hrvfreq.hrv, bands=bands)
    return _vector("ecg.hrvfreq/1", Modality.ECG, seconds, hrvfreq.features(bands), compute, bands=bands)


def _check_bands(name: str, bands: str, seconds: float) -> None:
    if bands not in rhythm.BANDS_OF:
        raise ValueError(f"view {name}: bands must be one of {', '.join(map(repr, rhythm.BANDS_OF))}, got {bands!r}")
    for band in rhythm.BANDS_OF[bands]:
        if seconds < rhythm.LEAST_S[band]:
            raise ValueError(
                f"view {name}: {band} needs {rhythm.LEAST_S[band]:g} s or more, got {seconds:g}: leave it out of bands"
            )


def emg_stats(*, seconds: float = 10.0) -> View:
    """``emg.stats/1`` (7,): strength, bursts and spectrum of a muscle's activity."""
    return _vector("emg.stats/1", Modality.EMG, seconds, emg.EMG_FEATURES, emg.stats)


def resp_stats(*, seconds: float = 30.0) -> View:
    """``resp.stats/1`` (6,): rate, depth and evenness of the breath."""
    return _vector("resp.stats/1", Modality.RESP, seconds, resp.RESP_FEATURES, resp.stats)


def helo_eeg(*, channels: list[str], seconds: float = 5.0, reference: str = "none") -> View:
    """``helo.eeg/1`` (channels * 5,): HeLo's table 6: differential entropy, as ``eeg.de/1`` without a common reference."""
    return _de("helo.eeg/1", channels, seconds, reference)


def _helo(
    name: str, modality: Modality, features: tuple[str, ...], compute: Callable[[Window], Float32]
) -> Callable[..., View]:
    def factory(*, seconds: float = 5.0) -> View:
        return _vector(name, modality, seconds, features, compute)

    return factory


FACTORIES: dict[str, Callable[..., View]] = {
    "ecg.raw/1": ecg_raw,
    "ecg.hrv/1": ecg_hrv,
    "eeg.de/1": eeg_de,
    "eda.stats/1": eda_stats,
    "ppg.pulse/1": ppg_pulse,
    "temp.stats/1": temp_stats,
    "eda.tonic/1": eda_tonic,
    "ppg.prv/1": ppg_prv,
    "acc.stats/1": acc_stats,
    "ecg.hrvfreq/1": ecg_hrvfreq,
    "eeg.asym/1": eeg_asym,
    "eeg.relpower/1": eeg_relpower,
    "eeg.regions/1": eeg_regions,
    "eeg.cov/1": eeg_cov,
    "emg.stats/1": emg_stats,
    "resp.stats/1": resp_stats,
    "helo.eeg/1": helo_eeg,
    "helo.gsr/1": _helo("helo.gsr/1", Modality.EDA, helo.GSR_FEATURES, helo.gsr),
    "helo.ppg/1": _helo("helo.ppg/1", Modality.PPG, helo.WAVE_FEATURES, helo.ppg),
    "helo.ecg/1": _helo("helo.ecg/1", Modality.ECG, helo.ECG_FEATURES, helo.ecg),
    "helo.eda/1": _helo("helo.eda/1", Modality.EDA, helo.EDA_FEATURES, helo.eda),
    "helo.emg/1": _helo("helo.emg/1", Modality.EMG, helo.EMG_FEATURES, helo.emg),
    "helo.acc/1": _helo("helo.acc/1", Modality.ACC, helo.ACC_FEATURES, helo.acc),
}


def names() -> list[str]:
    """Every view there is, plug-ins (entry-point group ``streamaffect.views``) included."""
    return sorted({*FACTORIES, *(point.name for point in entry_points(group="streamaffect.views"))})


def make(name: str, **params: object) -> View:
    """The view ``name`` with ``params``; ValueError for an unknown name or parameter."""
    factory = FACTORIES.get(name)
    if factory is None:
        found = [point for point in entry_points(group="streamaffect.views") if point.name == name]
        if not found:
            raise ValueError(f"unknown view {name!r}: there are {', '.join(names())}")
        factory = found[0].load()
    try:
        return factory(**params)
    except TypeError as error:
        raise ValueError(f"view {name}: {error}") from None
