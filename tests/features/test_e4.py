"""The four sensors of a wristband: skin temperature, movement, parts of the skin conductance, pulse rate variability."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, sosfilt

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.datasets.physiology import Body
from streamaffect.features import acc, prv, temp, tonic, views
from streamaffect.features.extract import Extractor, windows_of
from streamaffect.features.quality import USABLE, quality
from streamaffect.signals import Modality, StreamSpec, Window

TEMP = StreamSpec("temp", Modality.TEMP, ("TEMP",), 4.0, "degC")
EDA = StreamSpec("eda", Modality.EDA, ("EDA",), 4.0, "uS")
ACC = StreamSpec("acc", Modality.ACC, ("x", "y", "z"), 32.0, "g")
PPG = StreamSpec("bvp", Modality.PPG, ("BVP",), 64.0, "au")
BAND = butter(2, (0.5, 8.0), "bandpass", fs=64.0, output="sos")


def window(x: npt.ArrayLike, spec: StreamSpec) -> Window:
    samples = np.atleast_2d(np.asarray(x, np.float32))
    return Window(spec, 0.0, samples.shape[1] / spec.rate, samples, samples, np.isfinite(samples).all(axis=0))


def named(view: views.View, x: npt.ArrayLike, spec: StreamSpec) -> dict[str, float]:
    return dict(zip(view.features, view(window(x, spec)).tolist(), strict=True))


class TestTemperature:
    def test_level_slope_and_spread_of_a_drift(self) -> None:
        t = np.arange(240) / 4
        noise = np.random.default_rng(0).normal(0, 0.05, t.size)
        found = named(views.temp_stats(seconds=60), 33.0 - 0.6 * t / 60 + noise, TEMP)
        assert found["level"] == pytest.approx(32.7, abs=0.02)
        assert found["slope"] == pytest.approx(-0.6, abs=0.05)
        assert np.exp(found["ln_spread"]) == pytest.approx(0.05, rel=0.1)

    def test_holes_and_what_is_no_skin_are_left_out(self) -> None:
        x = 33.0 + 0.3 * np.arange(240) / 240
        whole = temp.stats(window(x, TEMP))
        x[30:50], x[100:110], x[200] = np.nan, -40.0, 44.0
        assert temp.stats(window(x, TEMP)) == pytest.approx(whole, abs=0.01)
        assert quality(window(x, TEMP)) == pytest.approx(1 - (10 + 2 + 3) / 220)
        x[:130] = np.nan
        assert np.isnan(temp.stats(window(x, TEMP))).all()

    def test_thermometer_off_the_skin_or_frozen_is_not_trusted(self) -> None:
        t = np.arange(240) / 4
        assert quality(window(33 + 0.01 * np.sin(t), TEMP)) == 1.0
        assert quality(window(8 + 0.01 * np.sin(t), TEMP)) == 0.0
        assert quality(window(np.full(240, 33.0), TEMP)) == 0.0
        assert quality(window(np.random.default_rng(0).normal(33, 3, 240), TEMP)) < USABLE


class TestMovement:
    def test_posture_and_movement_of_a_swinging_arm(self) -> None:
        t = np.arange(960) / 32
        x = np.stack([0.6 + 0.1 * np.sin(2 * np.pi * 2 * t), np.full(t.size, -0.8), np.zeros(t.size)])
        found = named(views.acc_stats(), x, ACC)
        assert [found[axis] for axis in "xyz"] == pytest.approx([0.6, -0.8, 0.0], abs=1e-3)
        assert np.exp(found["ln_movement"]) == pytest.approx(0.1 / np.sqrt(2), rel=0.01)
        assert np.exp(found["ln_jerk"]) == pytest.approx(0.1 * 4 * np.pi / np.sqrt(2), rel=0.03)
        assert found["still"] == 0.0

    def test_one_second_of_movement_is_the_peak_and_the_rest_is_still(self) -> None:
        x = np.repeat([[0.0], [0.0], [1.0]], 960, axis=1)
        x[0, 320:352] += np.where(np.arange(32) % 2, 0.5, -0.5)
        found = named(views.acc_stats(), x, ACC)
        assert np.exp(found["ln_peak"]) == pytest.approx(0.5)
        assert found["still"] == pytest.approx(29 / 30)

    def test_seconds_with_a_hole_count_for_nothing(self) -> None:
        x = np.repeat([[0.0], [0.0], [1.0]], 960, axis=1)
        x[:, 320:330] = np.nan
        assert named(views.acc_stats(), x, ACC)["still"] == 1.0
        assert np.isfinite(acc.stats(window(x, ACC))).all()
        x[:, 40:] = np.nan
        assert np.isnan(acc.stats(window(x, ACC))).all()

    def test_two_axes_are_refused_with_a_reason(self) -> None:
        with pytest.raises(ValueError, match="3 axes, it has x, y"):
            acc.stats(window(np.zeros((2, 960)), StreamSpec("acc", Modality.ACC, ("x", "y"), 32.0, "g")))

    def test_a_still_arm_is_trusted_and_a_dead_sensor_is_not(self) -> None:
        assert quality(window(np.repeat([[0.0], [0.0], [1.0]], 960, axis=1), ACC)) == 1.0
        assert quality(window(np.zeros((3, 960)), ACC)) == 0.0
        assert quality(window(np.full((3, 960), 1e4), ACC)) == 0.0


def skin(heights: tuple[float, ...], level: float = 2.0, slope: float = 0.0, rate: float = 4.0) -> np.ndarray:
    """60 s: a level [uS] with a slope [uS/min], and from 4 s on a response of a height every 10 s."""
    t = np.arange(round(60 * rate)) / rate
    x = level + slope * t / 60
    for i, height in enumerate(heights):
        since = np.clip(t - 4 - 10 * i, 0, None)
        x = x + height * (np.exp(-since / 3) - np.exp(-since / 0.7)) / 0.567  # the shape's own top
    return x


class TestSkinConductance:
    @pytest.mark.parametrize("rate", [4.0, 32.0])
    def test_responses_are_told_from_the_level_they_stand_on(self, rate: float) -> None:
        spec = StreamSpec("eda", Modality.EDA, ("EDA",), rate, "uS")
        heights = (0.3, 0.5, 0.4, 0.6, 0.3)
        found = named(views.eda_tonic(), skin(heights, slope=-0.4, rate=rate), spec)
        assert np.exp(found["ln_tonic"]) == pytest.approx(1.8, rel=0.05)
        assert found["tonic_slope"] == pytest.approx(-0.4 / 1.8, abs=0.06)
        assert found["scr_rate"] == pytest.approx(5)
        assert np.exp(found["ln_scr_mean"]) == pytest.approx(np.mean(heights), rel=0.2)
        assert found["rise_s"] == pytest.approx(1.35, abs=0.35)
        assert found["recovery_s"] == pytest.approx(2.8, abs=0.6)

    def test_quiet_skin_has_no_phasic_part(self) -> None:
        found = named(views.eda_tonic(), skin((), slope=0.5), EDA)
        assert found["scr_rate"] == 0
        assert np.exp(found["ln_scr_mean"]) == pytest.approx(0.01)
        assert np.exp(found["ln_phasic"]) < 0.01
        assert (found["rise_s"], found["recovery_s"]) == (1.5, 4.0)

    def test_driver_is_the_area_of_what_was_sent(self) -> None:
        """A unit impulse through the one-pole tail comes back as itself."""
        decay = np.exp(-1 / 12)
        tail = decay ** np.arange(100)
        sent = tonic.driver(np.concatenate([np.zeros(10), tail]), 4.0)
        assert sent.argmax() == 9
        assert sent.sum() == pytest.approx(1 / (1 - decay))

    def test_more_responses_make_more_driver(self) -> None:
        few, many = (named(views.eda_tonic(), skin((0.4,) * n), EDA) for n in (1, 5))
        assert many["ln_driver"] > few["ln_driver"] + 1
        assert many["ln_phasic"] > few["ln_phasic"] + 1

    def test_level_is_drawn_through_a_hole(self) -> None:
        x = skin((), slope=0.3)
        whole = tonic.parts(window(x, EDA))
        x[80:140] = np.nan
        assert tonic.parts(window(x, EDA)) == pytest.approx(whole, abs=5e-3)
        x[:150] = np.nan
        assert np.isnan(tonic.parts(window(x, EDA))).all()

    def test_level_scales_with_the_signal(self) -> None:
        x = skin((0.3, 0.5))
        good = np.ones(x.size, bool)
        assert np.allclose(tonic.tonic_level(3 * x, good, 4.0), 3 * tonic.tonic_level(x, good, 4.0))


def pulses(
    rr_s: npt.NDArray[np.float64],
    height: float | npt.NDArray[np.float64] = 40.0,
    width_s: float = 0.07,
    rise_s: float | None = None,
) -> Window:
    """Band-passed pulses ``rr_s`` apart from 3 s on, falling by ``width_s`` and rising by that or ``rise_s``."""
    feet = 3.0 + np.concatenate([[0], np.cumsum(rr_s)])
    t = np.arange(round((feet[-1] + 0.7) * 64)) / 64
    since = t[:, None] - feet - 0.2
    x = (height * np.exp(-0.5 * (since / np.where(since < 0, rise_s or width_s, width_s)) ** 2)).sum(axis=1)
    return window(sosfilt(BAND, x + np.random.default_rng(0).normal(0, 0.1, t.size))[128:], PPG)


class TestPulse:
    def test_variability_of_known_pulses(self) -> None:
        rr = 0.8 + 0.04 * np.sin(2 * np.pi * 0.25 * np.arange(73) * 0.8)
        view = views.ppg_prv(bands="lf+hf")
        found = dict(zip(view.features, view(pulses(rr)).tolist(), strict=True))
        assert found["hr"] == pytest.approx(60 / rr.mean(), abs=0.5)
        assert found["hr_low"] == pytest.approx(60 / 0.84, abs=1.0)
        assert found["hr_high"] == pytest.approx(60 / 0.76, abs=1.0)
        assert np.exp(found["ln_sdnn"]) == pytest.approx(1e3 * rr.std(ddof=1), rel=0.12)
        assert np.exp(found["ln_rmssd"]) == pytest.approx(1e3 * np.sqrt(np.mean(np.diff(rr) ** 2)), rel=0.12)
        assert np.exp(found["ln_hf"]) == pytest.approx(800, rel=0.25)
        assert found["ln_lf"] < found["ln_hf"] - 2
        assert found["plausible"] > 0.95

    def test_shape_follows_the_pulse(self) -> None:
        rr = np.full(73, 0.8)
        narrow, wide, high = (prv.prv(pulses(rr, h, w), "none") for h, w in ((20.0, 0.06), (20.0, 0.09), (60.0, 0.06)))
        at = prv.PRV_FEATURES.index
        assert high[at("ln_height")] - narrow[at("ln_height")] == pytest.approx(np.log(3), abs=0.03)
        assert wide[at("fall_s")] > narrow[at("fall_s")] + 0.02
        slow, fast = (prv.prv(pulses(rr, 20.0, 0.2, rise), "none")[at("rise_s")] for rise in (0.09, 0.05))
        assert 0.04 < fast < slow - 0.02 < 0.12
        uneven = prv.prv(pulses(rr, 40 + 10 * np.sin(np.arange(74) / 2), 0.06), "none")
        assert uneven[at("height_spread")] == pytest.approx(10 * np.sqrt(2) / 40, rel=0.2)  # a sine's quartiles
        assert narrow[at("height_spread")] < 0.03

    def test_movement_among_the_pulses_makes_no_variability(self) -> None:
        """Six seconds of what is no pulse: its intervals are left out, not measured."""
        clean = pulses(np.full(73, 0.8))
        x = clean.samples.copy()
        x[:, 1000:1400] = sosfilt(BAND, np.random.default_rng(0).normal(0, 60, 400))
        spoilt, whole = (prv.prv(w, "none") for w in (window(x, PPG), clean))
        at = prv.PRV_FEATURES.index
        assert spoilt[at("hr")] == pytest.approx(whole[at("hr")], abs=2)
        assert spoilt[at("plausible")] < whole[at("plausible")]
        assert np.exp(spoilt[at("ln_step")]) < 8

    def test_rate_is_the_simulated_heart_s(self) -> None:
        person = simulated.person("person-4", duration_s=120, modalities=[Modality.ECG, Modality.PPG])
        extractor = Extractor((views.make("ecg.hrv/1", seconds=60.0), views.ppg_prv()), {})
        seen = [f for f in windows_of(person, extractor, 10.0) if f.whole]
        assert len(seen) > 5
        for features in seen:
            assert features.plain["ppg.prv"][0] == pytest.approx(features.plain["ecg.hrv"][0], rel=0.01)

    @pytest.mark.parametrize(("bands", "seconds"), [("hf", 20.0), ("lf+hf", 45.0), ("all", 60.0)])
    def test_band_that_a_window_cannot_show_is_refused(self, bands: str, seconds: float) -> None:
        with pytest.raises(ValueError, match="bands"):
            views.make("ppg.prv/1", bands=bands, seconds=seconds)


def test_beats_of_the_simulated_body_are_found() -> None:
    """Against the truth itself: the times at which the simulated heart beat."""
    body = Body.of(11, np.zeros(900))
    t = np.arange(90 * 64) / 64
    lead = sosfilt(BAND, body.ppg(t))[:, 20 * 64 : 80 * 64]
    beats = body.beats[(body.beats > 20) & (body.beats < 80)]
    found = named(views.ppg_prv(bands="lf+hf"), lead, PPG)
    rr = 1e3 * np.diff(beats)
    assert found["hr"] == pytest.approx(6e4 / rr.mean(), rel=0.01)
    assert np.exp(found["ln_sdnn"]) == pytest.approx(rr.std(ddof=1), rel=0.15)
    assert np.exp(found["ln_rmssd"]) == pytest.approx(np.sqrt(np.mean(np.diff(rr) ** 2)), rel=0.3)


def test_real_wrists_are_trusted_and_sweat_under_stress(data_root: Path) -> None:
    """Thermometer and accelerometer of a worn band never abstain; responses drive more under stress than at rest."""
    rises = []
    for person in list(datasets.open("wesad_wrist", data_root))[:5]:
        extractor = Extractor((views.temp_stats(), views.eda_tonic(), views.acc_stats()), {})
        seen: dict[str, list[float]] = {"baseline": [], "stress": []}
        for f in windows_of(person, extractor, 20.0, 20.0):
            if f.reason == "warming_up":
                continue
            assert not f.missing & {Modality.TEMP, Modality.ACC}
            label = [t.label for t in person.trials if t.start_s <= f.t_end_s - 60 and f.t_end_s <= t.end_s]
            if f.whole and label and label[0] in seen:
                seen[label[0]].append(f.plain["eda.tonic"][tonic.TONIC_FEATURES.index("ln_driver")])
        rises.append(np.mean(seen["stress"]) > np.mean(seen["baseline"]))
    assert np.mean(rises) >= 0.8
