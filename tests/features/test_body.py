"""Muscle, breath and the rhythm of an ECG in signals of known content, the last beside neurokit2; HeLo's feature sets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from streamaffect.datasets import simulated
from streamaffect.datasets.physiology import Body
from streamaffect.features import emg, helo, hrvfreq, resp, views
from streamaffect.features.quality import USABLE, quality
from streamaffect.signals import Modality, StreamSpec, Window

EMG = StreamSpec("emg", Modality.EMG, ("EMG",), 512.0, "uV")
RESP = StreamSpec("resp", Modality.RESP, ("RESP",), 25.0, "au")
ECG = StreamSpec("ecg", Modality.ECG, ("I",), 256.0, "uV")
EDA = StreamSpec("eda", Modality.EDA, ("EDA",), 4.0, "uS")
ACC = StreamSpec("acc", Modality.ACC, ("x", "y", "z"), 32.0, "g")


def window(x: npt.ArrayLike, spec: StreamSpec) -> Window:
    samples = np.atleast_2d(np.asarray(x, np.float32))
    return Window(spec, 0.0, samples.shape[1] / spec.rate, samples, samples, np.isfinite(samples).all(axis=0))


def named(name: str, w: Window, **params: object) -> dict[str, float]:
    view = views.make(name, **params)
    return dict(zip(view.features, view(w).tolist(), strict=True))


def muscle(low_hz: float = 40.0, high_hz: float = 160.0, seed: int = 0) -> npt.NDArray[np.float64]:
    from scipy.signal import butter, sosfilt

    noise = np.random.default_rng(seed).normal(0, 1, 5120)
    x = sosfilt(butter(6, (low_hz, high_hz), "bandpass", fs=512, output="sos"), noise)
    return np.asarray(20 * x / x.std())


class TestMuscle:
    def test_strength_and_frequency_of_known_noise(self) -> None:
        found = named("emg.stats/1", window(muscle(), EMG))
        assert np.exp(found["ln_rms"]) == pytest.approx(20, rel=0.03)
        assert found["median_hz"] == pytest.approx(100, abs=6)
        assert found["ln_burst"] < 0.4

    def test_crossings_and_length_of_a_sine(self) -> None:
        x = 10 * np.sin(2 * np.pi * 80 * np.arange(5120) / 512 + 0.3)
        found = named("emg.stats/1", window(x, EMG))
        assert found["crossings_hz"] == pytest.approx(160, rel=0.02)
        assert found["median_hz"] == pytest.approx(80, abs=2)
        assert np.exp(found["ln_length"]) == pytest.approx(4 * 80 * 10, rel=0.1)  # up and down each period

    def test_bursts_stand_out_of_the_tone(self) -> None:
        x = muscle()
        x[1024:2048] *= 8
        found = named("emg.stats/1", window(x, EMG))
        assert found["ln_burst"] == pytest.approx(np.log(8), abs=0.35)
        assert np.exp(found["ln_rest"]) == pytest.approx(18, abs=3)

    def test_tired_muscle_is_slower(self) -> None:
        fresh, tired = (emg.stats(window(muscle(40, high), EMG))[5] for high in (160.0, 100.0))
        assert tired < fresh - 20

    def test_quality_tells_a_muscle_from_hum_clipping_and_a_dead_lead(self) -> None:
        x = muscle()
        assert quality(window(x, EMG)) == 1.0
        hum = 200 * np.sin(2 * np.pi * 50 * np.arange(5120) / 512) + 0.2 * x
        assert quality(window(hum, EMG)) == 0.0
        assert quality(window(x * 1e-3, EMG)) == 0.0
        x[1000:4000] = 500.0
        assert quality(window(x, EMG)) < USABLE


def breath(hz: float = 0.25, inhale: float = 0.5, seconds: float = 60.0, noise: float = 0.02) -> npt.NDArray[np.float64]:
    t = np.arange(round(seconds * 25)) / 25
    phase = t * hz % 1
    x = np.where(phase < inhale, -np.cos(np.pi * phase / inhale), np.cos(np.pi * (phase - inhale) / (1 - inhale)))
    return np.asarray(3.0 * x + 100 + np.random.default_rng(0).normal(0, noise, t.size))


class TestBreath:
    @pytest.mark.parametrize("hz", [0.12, 0.25, 0.4])
    def test_rate_and_depth_of_known_breath(self, hz: float) -> None:
        found = named("resp.stats/1", window(breath(hz), RESP), seconds=60.0)
        assert found["rate"] == pytest.approx(60 * hz, rel=0.02)
        assert np.exp(found["ln_depth"]) == pytest.approx(6, rel=0.12)
        assert found["period_spread"] < 0.05
        assert found["inhale_share"] == pytest.approx(0.5, abs=0.04)

    def test_quick_inhale_is_seen(self) -> None:
        quick, slow = (resp.stats(window(breath(inhale=share), RESP))[4] for share in (0.35, 0.6))
        assert quick == pytest.approx(0.35, abs=0.06)
        assert slow == pytest.approx(0.6, abs=0.06)

    def test_uneven_breath_is_uneven(self) -> None:
        t = np.arange(1500) / 25
        x = np.sin(2 * np.pi * 0.25 * t + 2.5 * np.sin(2 * np.pi * t / 23)) * (1 + 0.6 * np.sin(2 * np.pi * t / 19))
        found = named("resp.stats/1", window(x, RESP), seconds=60.0)
        assert found["period_spread"] > 0.15
        assert found["depth_spread"] > 0.3

    def test_holes_are_bridged_or_not_a_number(self) -> None:
        x = breath()
        x[100:140] = np.nan
        assert named("resp.stats/1", window(x, RESP), seconds=60.0)["rate"] == pytest.approx(15, rel=0.03)
        x[:600] = np.nan
        assert np.isnan(resp.stats(window(x, RESP))).all()

    def test_agrees_with_neurokit2(self) -> None:
        import neurokit2 as nk

        t = np.arange(1500) / 25
        x = np.sin(2 * np.pi * 0.22 * t + 1.5 * np.sin(2 * np.pi * t / 40)) + np.random.default_rng(1).normal(0, 0.02, t.size)
        clean = nk.rsp_clean(x, sampling_rate=25)
        peaks = nk.rsp_peaks(clean, sampling_rate=25)[1]["RSP_Peaks"]
        expected = 60 / np.median(np.diff(peaks) / 25)
        assert resp.stats(window(x, RESP))[0] == pytest.approx(expected, rel=0.05)

    def test_quality_tells_breath_from_noise_and_a_belt_at_its_end(self) -> None:
        assert quality(window(breath(), RESP)) > 0.9
        for seed in range(5):
            assert quality(window(np.random.default_rng(seed).normal(0, 1, 1500), RESP)) < 0.1
        clipped = np.clip(breath(0.1, noise=0), 98.5, 101.5)
        assert quality(window(clipped, RESP)) < USABLE


class TestRhythm:
    def test_intervals_of_the_simulated_heart(self) -> None:
        """Against the truth itself: the times at which the simulated heart beat."""
        body = Body.of(7, np.zeros(700))
        lead = body.ecg(np.arange(70 * 256) / 256)[:, 5 * 256 : 65 * 256]
        rr = 1e3 * np.diff(body.beats[(body.beats > 5) & (body.beats < 65)])
        found = named("ecg.hrvfreq/1", window(lead, ECG))
        assert found["hr"] == pytest.approx(6e4 / rr.mean(), rel=0.005)
        assert np.exp(found["ln_sdnn"]) == pytest.approx(rr.std(ddof=1), rel=0.07)
        assert np.exp(found["ln_rmssd"]) == pytest.approx(np.sqrt(np.mean(np.diff(rr) ** 2)), rel=0.1)
        assert found["pnn50"] == pytest.approx(np.mean(np.abs(np.diff(rr)) > 50), abs=0.06)

    def test_agrees_with_neurokit2_on_a_simulated_person(self) -> None:
        import neurokit2 as nk

        signal = simulated.person("person-3", duration_s=90, modalities=[Modality.ECG]).signals[0]
        lead = signal.samples[:, 20 * 256 : 80 * 256]
        peaks = nk.ecg_peaks(nk.ecg_clean(lead[0], sampling_rate=256), sampling_rate=256)[0]
        expected = nk.hrv_time(peaks, sampling_rate=256)
        found = named("ecg.hrvfreq/1", window(lead, signal.spec))
        assert np.exp(found["ln_sdnn"]) == pytest.approx(float(expected["HRV_SDNN"].iloc[0]), rel=0.1)
        assert np.exp(found["ln_rmssd"]) == pytest.approx(float(expected["HRV_RMSSD"].iloc[0]), rel=0.15)
        assert found["pnn50"] == pytest.approx(float(expected["HRV_pNN50"].iloc[0]) / 100, abs=0.05)

    def test_breath_is_read_off_the_r_waves(self) -> None:
        times = 0.5 + 0.8 * np.arange(74)
        t = np.arange(60 * 256) / 256
        heights = 1000 * (1 + 0.15 * np.sin(2 * np.pi * 0.3 * times))
        x = (heights * np.exp(-0.5 * ((t[:, None] - times) / 0.012) ** 2)).sum(axis=1)
        x += np.random.default_rng(0).normal(0, 2, t.size)
        for sign in (1, -1):
            found = named("ecg.hrvfreq/1", window(sign * x, ECG))
            assert found["breath_hz"] == pytest.approx(0.3, abs=0.02)
            assert np.exp(found["ln_edr"]) == pytest.approx(0.15 / np.sqrt(2), rel=0.15)

    def test_bands_a_window_cannot_show_are_refused(self) -> None:
        assert views.make("ecg.hrvfreq/1", seconds=30.0, bands="hf").features[-1] == "ln_hf"
        assert views.make("ecg.hrvfreq/1", seconds=10.0, bands="none").features == hrvfreq.HRVFREQ_FEATURES
        with pytest.raises(ValueError, match="lf needs 60 s"):
            views.make("ecg.hrvfreq/1", seconds=30.0)


class TestHelo:
    def test_the_tables_count_is_ours(self) -> None:
        counts = {
            name: views.make(name).shape[0] for name in ("helo.gsr/1", "helo.ppg/1", "helo.eda/1", "helo.emg/1", "helo.acc/1")
        }
        assert list(counts.values()) == [28, 27, 4, 14, 12]
        assert views.make("helo.eeg/1", channels=[f"E{i}" for i in range(18)]).shape == (90,)

    def test_statistics_of_a_known_wave(self) -> None:
        t = np.arange(20) / 4
        found = named("helo.gsr/1", window(2 + 0.5 * np.sin(2 * np.pi * 0.4 * t + 0.2), EDA))
        assert found["raw.mean"] == pytest.approx(2, abs=1e-5)
        assert found["raw.std"] == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)
        assert found["raw.min_ratio"] == pytest.approx(2 / 20)
        assert found["d1.max"] == pytest.approx(0.5 * 2 * np.pi * 0.4, rel=0.05)
        assert found["fft_max"] == pytest.approx(5, rel=0.01)  # half the samples times the amplitude
        assert found["psd_0_2hz"] == pytest.approx(0.125 / 2, rel=0.15)  # the variance over 2 Hz

    def test_axes_of_a_known_movement(self) -> None:
        t = np.arange(160) / 32
        x = np.stack([0.1 * np.sin(2 * np.pi * 3 * t), 0.4 * np.sin(2 * np.pi * 5 * t), np.ones(160)])
        found = named("helo.acc/1", window(x, ACC))
        assert (found["peak_hz.x"], found["peak_hz.y"], found["peak_hz.all"]) == pytest.approx((3, 5, 5))
        assert found["std.all"] == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)
        assert found["integral.z"] == pytest.approx(5)
        with pytest.raises(ValueError, match="3 axes"):
            helo.acc(window(x[:1], StreamSpec("acc", Modality.ACC, ("x",), 32.0, "g")))

    def test_muscle_of_a_known_wave(self) -> None:
        x = 10 * np.sin(2 * np.pi * 40 * np.arange(2560) / 512)
        found = named("helo.emg/1", window(x, EMG))
        assert found["peak_hz"] == pytest.approx(40)
        assert found["psd"] == pytest.approx(50, rel=0.01)
        assert found["integral"] == pytest.approx(5 * 20 / np.pi, rel=0.01)
        assert found["peaks"] == pytest.approx(200, abs=2)
        assert found["peak_sum_a_second"] == pytest.approx(found["peak_sum"] / 5)

    def test_heart_and_skin(self) -> None:
        person = simulated.person("person-2", duration_s=20, modalities=[Modality.ECG, Modality.EDA])
        by = {s.spec.modality: s for s in person.signals}
        ecg = named("helo.ecg/1", window(by[Modality.ECG].samples[:, 10 * 256 : 15 * 256], by[Modality.ECG].spec))
        assert ecg["hr.mean"] == pytest.approx(60 / ecg["ibi.mean"], rel=0.02)
        eda = named("helo.eda/1", window(by[Modality.EDA].samples[:, 40:60], by[Modality.EDA].spec))
        assert eda["mean"] == pytest.approx(by[Modality.EDA].samples[0, 40:60].mean(), rel=1e-4)
