"""Views by contract: names, layouts, shapes, and what they measure in signals of known content."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from streamaffect.datasets import simulated
from streamaffect.features import ecg, eeg, views
from streamaffect.signals import Float32, Modality, StreamSpec, Window

EEG = StreamSpec("eeg", Modality.EEG, ("Cz", "Pz", "Oz"), 128.0, "uV")


def window(x: Float32, spec: StreamSpec, mask: np.ndarray | None = None) -> Window:
    seen = np.isfinite(x).all(axis=0) if mask is None else mask
    return Window(spec, 0.0, x.shape[1] / spec.rate, x, x, seen)


def beats(rr_s: np.ndarray, rate: float = 256.0) -> Window:
    """Gaussian R-peaks at known times."""
    times = 0.5 + np.concatenate([[0], np.cumsum(rr_s)])
    t = np.arange(round((times[-1] + 0.5) * rate)) / rate
    x = 1000 * np.exp(-0.5 * ((t[:, None] - times) / 0.012) ** 2).sum(axis=1)
    noise = np.random.default_rng(0).normal(0, 2, t.size)
    return window((x + noise)[None].astype(np.float32), StreamSpec("ecg", Modality.ECG, ("I",), rate, "uV"))


def test_hrv_of_known_beats() -> None:
    rr = 0.8 + 0.05 * np.sin(2 * np.pi * 0.25 * np.arange(40) * 0.8)
    hr, ln_sdnn, ln_rmssd, _, slope, _ = ecg.hrv(beats(rr))
    assert hr == pytest.approx(60 / rr.mean(), abs=0.3)
    assert np.exp(ln_sdnn) == pytest.approx(1e3 * rr.std(ddof=1), rel=0.06)
    assert np.exp(ln_rmssd) == pytest.approx(1e3 * np.sqrt(np.mean(np.diff(rr) ** 2)), rel=0.06)
    assert abs(slope) < 2


def test_hrv_agrees_with_neurokit2_on_a_simulated_person() -> None:
    import neurokit2 as nk

    signal = simulated.person("person-3", duration_s=40, modalities=[Modality.ECG]).signals[0]
    lead = signal.samples[:, 5 * 256 : 35 * 256]
    peaks = nk.ecg_peaks(nk.ecg_clean(lead[0], sampling_rate=256), sampling_rate=256)[1]["ECG_R_Peaks"]
    rr_ms = np.diff(peaks) / 0.256
    hr, ln_sdnn, ln_rmssd, *_ = ecg.hrv(window(lead, signal.spec))
    assert hr == pytest.approx(60_000 / rr_ms.mean(), rel=0.01)
    assert np.exp(ln_sdnn) == pytest.approx(rr_ms.std(ddof=1), rel=0.1)
    assert np.exp(ln_rmssd) == pytest.approx(np.sqrt(np.mean(np.diff(rr_ms) ** 2)), rel=0.15)


def test_hrv_of_too_few_beats_is_not_a_number() -> None:
    assert np.isnan(ecg.hrv(beats(np.full(5, 0.9)))).all()


def test_missed_beat_makes_no_interval() -> None:
    rr = np.full(30, 0.8)
    rr[15] = 1.6
    _, lengths = ecg.intervals(ecg.Beats(np.concatenate([[0], np.cumsum(rr)]), 1.0))
    assert lengths.size == 29
    assert np.allclose(lengths, 0.8)


def test_raw_lead_is_standardised_and_resampled() -> None:
    spec = StreamSpec("ecg", Modality.ECG, ("I", "II"), 250.0, "uV")
    x = 300 + 40 * np.sin(2 * np.pi * 3 * np.arange(2500) / 250)
    out = views.ecg_raw()(window(np.stack([x, np.zeros(2500)]).astype(np.float32), spec))
    assert out.shape == (1, 1280)
    expected = np.sqrt(2) * np.sin(2 * np.pi * 3 * np.arange(1280) / 128)
    assert np.allclose(out[0, 64:-64], expected[64:-64], atol=0.02)


def test_differential_entropy_of_a_sine_stands_in_its_band() -> None:
    t = np.arange(512) / 128
    amplitude = 10.0
    x = np.stack([amplitude * np.sin(2 * np.pi * f * t) for f in (2, 10, 20)]).astype(np.float32)
    out = views.eeg_de(channels=["Cz", "Pz", "Oz"], reference="none")(window(x, EEG)).reshape(3, 5)
    assert out.argmax(axis=1).tolist() == [0, 2, 3]
    # A Hann taper of unit power puts 1/6 of a sine's power in each neighbouring bin: 1 to 3 Hz holds all of 2 Hz.
    assert out[0, 0] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * amplitude**2 / 2), abs=0.01)


def test_differential_entropy_of_white_noise_follows_the_band_width() -> None:
    x = np.random.default_rng(0).normal(0, 5, (3, 128 * 200)).astype(np.float32)
    out = views.eeg_de(channels=["Cz"], seconds=200, reference="none")(window(x, EEG))
    bins = np.array([3, 4, 6, 17, 20])
    variance = 25 * bins / 64  # the share of 64 Hz
    log_of_mean = 0.5 * np.log(2 * np.pi * np.e * variance)
    assert np.allclose(out, log_of_mean, atol=0.25)  # the mean of logs lies below, more so of few bins
    assert (out <= log_of_mean + 0.02).all()


def test_average_reference_removes_what_all_channels_share() -> None:
    rng = np.random.default_rng(0)
    x, shared = rng.normal(0, 5, (3, 512)), rng.normal(0, 500, 512)
    view = views.eeg_de(channels=list(EEG.channels))
    assert np.allclose(view(window((x + shared).astype(np.float32), EEG)), view(window(x.astype(np.float32), EEG)), atol=1e-3)


def test_seconds_with_a_hole_are_left_out() -> None:
    x = np.random.default_rng(0).normal(0, 5, (3, 512)).astype(np.float32)
    holed = x.copy()
    holed[:, 10:20] = np.nan
    view = views.eeg_de(channels=["Cz", "Pz"])
    assert np.array_equal(view(window(holed, EEG)), eeg.differential_entropy(window(x[:, 64:], EEG), ("Cz", "Pz")))
    holed[:] = np.nan
    assert np.isnan(view(window(holed, EEG))).all()


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), RuntimeError("x"), TypeError("x"), ZeroDivisionError(), AttributeError("x")]
)
def test_extractor_that_raises_makes_nan_and_one_warning(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_TOLD", set())

    def fail(_: Window) -> Float32:
        raise error

    view = replace(views.ecg_hrv(), compute=fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert np.isnan(view(beats(np.full(10, 0.8)))).all()
    assert len(caplog.records) == 1
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("result", [np.zeros(5, np.float32), None, 1.0])
def test_extractor_that_breaks_its_promise_makes_nan(result: object) -> None:
    view = replace(views.ecg_hrv(), compute=lambda _: result)
    out = view(beats(np.full(10, 0.8)))
    assert out.shape == (6,)
    assert np.isnan(out).all()


def test_channel_that_the_stream_lacks_makes_nan() -> None:
    x = np.zeros((3, 512), np.float32)
    assert np.isnan(views.eeg_de(channels=["Fz"])(window(x, EEG))).all()


def test_layout_changes_with_all_that_decides_what_an_element_means() -> None:
    layouts = {
        view.layout
        for view in (
            views.ecg_raw(),
            views.ecg_raw(rate=64.0),
            views.ecg_raw(seconds=5.0),
            views.ecg_hrv(),
            views.eeg_de(channels=["Cz", "Pz"]),
            views.eeg_de(channels=["Pz", "Cz"]),
            views.eeg_de(channels=["Cz", "Pz"], reference="none"),
        )
    }
    assert len(layouts) == 7
    assert views.make("eeg.de/1", channels=["Cz"], seconds=4.0).layout == views.eeg_de(channels=["Cz"]).layout


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("ecg.magic/1", {}, "ecg.raw/1"),
        ("ecg.hrv/1", {"lead": 2}, "lead"),
        ("eeg.de/1", {"channels": [], "reference": "x"}, "none"),
    ],
)
def test_unknown_view_or_parameter_is_named(name: str, params: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        views.make(name, **params)
