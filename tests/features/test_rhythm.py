"""Intervals of known variability: what is neighbour to what, and how much power lies where."""

from __future__ import annotations

import numpy as np
import pytest

from streamaffect.features.ecg import Beats
from streamaffect.features.rhythm import HF_HZ, LF_HZ, Rhythm, power


def rhythm(hz: float, amplitude_ms: float, seconds: float = 60.0, rr_s: float = 0.8) -> Rhythm:
    """Beats whose intervals swing about ``rr_s``."""
    times = [0.0]
    while times[-1] < seconds:
        times.append(times[-1] + rr_s + 1e-3 * amplitude_ms * np.sin(2 * np.pi * hz * times[-1]))
    return Rhythm.of(Beats(np.asarray(times), 1.0))


@pytest.mark.parametrize(("hz", "band"), [(0.1, "lf"), (0.25, "hf"), (0.3, "hf")])
def test_a_swing_s_power_stands_in_its_band(hz: float, band: str) -> None:
    lf, hf = np.exp(rhythm(hz, 40.0).ln_power(("lf", "hf")))
    inside, outside = (lf, hf) if band == "lf" else (hf, lf)
    assert inside == pytest.approx(40.0**2 / 2, rel=0.12)
    assert outside < 0.06 * inside


def test_power_does_not_depend_on_where_samples_fall() -> None:
    rng = np.random.default_rng(0)
    t = np.cumsum(rng.uniform(0.6, 1.0, 100))
    x = 3.0 * np.sin(2 * np.pi * 0.2 * t + 1.0)
    assert power(t, x - x.mean(), *HF_HZ) == pytest.approx(4.5, rel=0.12)
    assert power(t, x - x.mean(), *LF_HZ) < 0.3


def test_power_agrees_with_scipy_s_periodogram() -> None:
    from scipy.signal import lombscargle

    rng = np.random.default_rng(1)
    t = np.cumsum(rng.uniform(0.6, 1.0, 80))
    x = rng.normal(0, 30, 80)
    x -= x.mean()
    step = 1.0 / (4 * (t[-1] - t[0]) * 80 / 79)
    frequency = np.arange(HF_HZ[0] + step / 2, HF_HZ[1], step)
    expected = lombscargle(t, x, 2 * np.pi * frequency).sum() * 2 / 80 / 4
    assert power(t, x, *HF_HZ) == pytest.approx(expected, rel=1e-9)


def test_what_stands_beside_a_hole_is_no_neighbour() -> None:
    times = np.concatenate([np.arange(10) * 0.8, 9 * 0.8 + 3.0 + np.arange(10) * 1.0])
    found = Rhythm.of(Beats(times, 1.0))
    assert found.rr_ms.size == 18
    assert np.allclose(found.steps_ms, 0.0)
    assert found.steps_ms.size == 16


def test_untrusted_beats_make_no_intervals() -> None:
    times = np.arange(20) * 0.8
    trusted = np.ones(20, bool)
    trusted[7] = False
    found = Rhythm.of(Beats(times, 1.0), trusted)
    assert found.rr_ms.size == 17
    assert found.steps_ms.size == 15


def test_variability_of_known_intervals() -> None:
    rng = np.random.default_rng(2)
    rr = rng.normal(0.8, 0.03, 200)
    found = Rhythm.of(Beats(np.concatenate([[0], np.cumsum(rr)]), 1.0))
    sdnn, rmssd, ratio = np.exp(found.ln_variability())
    steps = 1e3 * np.diff(rr)
    assert sdnn == pytest.approx(1e3 * rr.std(ddof=1))
    assert rmssd == pytest.approx(np.sqrt(np.mean(steps**2)))
    along, across = (1e3 * rr[1:] + 1e3 * rr[:-1]).std() / np.sqrt(2), steps.std() / np.sqrt(2)
    assert ratio == pytest.approx(along / across, rel=0.02)  # the two axes of the Poincare plot
    assert np.exp(found.ln_typical_step()) == pytest.approx(rmssd, rel=0.15)
    assert found.over(50.0) == np.mean(np.abs(steps) > 50)
    mean, low, high = found.rates()
    assert low < mean < high
    assert mean == pytest.approx(60 / rr.mean())


def test_slope_is_beats_a_minute_in_a_minute() -> None:
    times = [0.0]
    while times[-1] < 60:
        times.append(times[-1] + 60 / (70 + 10 * times[-1] / 60))
    assert Rhythm.of(Beats(np.asarray(times), 1.0)).slope() == pytest.approx(10, abs=0.3)
