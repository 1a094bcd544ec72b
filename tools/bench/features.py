"""Cost of windows and views on one core, beside what people would use instead, in the same run.

    OMP_NUM_THREADS=1 python tools/bench/features.py

On two shared cores (median of a second's calls; ours, then the peer):

    ecg.raw/1, 10 s at 256 Hz           0.13 ms
    quality of ECG, 30 s at 256 Hz      1.00 ms
    ecg.hrv/1, 30 s at 256 Hz           1.20 ms     neurokit2           6.8 ms, 0.10 ms after the quality
    eeg.de/1, 19 channels, 4 s          0.16 ms     welch a channel     4.1 ms
    eeg.de/1, 62 channels, 4 s          0.41 ms     welch a channel    16.2 ms
    grid alone, clean / 5 ms jitter     41 / 2.8 million samples a second
    grid, filter, windows, 1 h of ECG   2.9 / 1.3 million samples a second: 0.3 s / 0.7 s an hour
    the same, 62 EEG by 200 / by 8      0.86 / 0.09 million places a second, 62 samples each

The views that came later, the least of three such medians, the same cores busy with other work:

    ecg.hrvfreq/1, 60 s at 256 Hz       2.43 ms     neurokit2           7.3 ms
    ppg.prv/1, 60 s, lf+hf              1.32 ms     neurokit2           5.3 ms
    eda.tonic/1, 60 s at 4 Hz           0.30 ms     neurokit2          16.4 ms
    resp.stats/1, 30 s at 25 Hz         0.43 ms     neurokit2           1.4 ms
    temp.stats/1, acc.stats/1, 30 s     0.04, 0.18 ms
    emg.stats/1, 10 s at 700 Hz         0.20 ms
    helo.*, 5 s                         0.05 to 0.81 ms
    eeg.asym/1, eeg.relpower/1, 19 ch.  0.26, 0.23 ms (62 channels: 0.66, 0.59)
    eeg.cov/1, 8 s, 19 channels         0.53 ms, and 0.42 to recentre it (62 channels: 5.8 and 2.5)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streamaffect.datasets import simulated
from streamaffect.features import eeg, views
from streamaffect.features.ecg import beats_of
from streamaffect.features.grid import Grid
from streamaffect.features.quality import quality
from streamaffect.features.recentre import Recentre, SpdPrior
from streamaffect.features.windows import Windower
from streamaffect.signals import Chunk, Modality, Signal, StreamSpec, Window

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    what: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float = float("nan")

    def __str__(self) -> str:
        ours = f"{self.what:<44}{self.value:>10.2f} {self.unit:<12}"
        return ours if not self.peer else f"{ours}{self.peer:<44}{self.peer_value:>9.2f} {self.unit}"


def milliseconds(call: Callable[[], object], seconds: float) -> float:
    """Median time of one call, called for ``seconds`` after one call to warm up; beats are found anew each time."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        beats_of.cache_clear()
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(times))


def ecg_window(rate: float = 256.0, seconds: float = 30.0) -> Window:
    signal = simulated.person(duration_s=seconds + 5, modalities=[Modality.ECG]).signals[0]
    x = signal.samples[:, : round(seconds * rate)]
    return Window(signal.spec, 0.0, seconds, x, x, np.ones(x.shape[1], np.bool_))


def eeg_window(channels: int, rate: float = 200.0, seconds: float = 4.0) -> Window:
    names = tuple(f"E{i}" for i in range(channels))
    x = np.random.default_rng(0).normal(0, 10, (channels, round(seconds * rate))).astype(np.float32)
    return Window(StreamSpec("eeg", Modality.EEG, names, rate, "uV"), 0.0, seconds, x, x, np.ones(x.shape[1], np.bool_))


def neurokit_hrv(window: Window) -> object:
    import neurokit2 as nk

    rate = int(window.spec.rate)
    peaks, _ = nk.ecg_peaks(nk.ecg_clean(window.samples[0], sampling_rate=rate), sampling_rate=rate)
    return nk.hrv_time(peaks, sampling_rate=rate)


def welch_de(window: Window) -> object:
    """What a script would do: channel by channel, scipy's Welch, the bands' powers, a logarithm."""
    from scipy.signal import welch

    entropies = []
    for channel in window.samples - window.samples.mean(axis=0):
        frequency, density = welch(channel, window.spec.rate, nperseg=round(window.spec.rate))
        for low, high in eeg.BANDS.values():
            power = density[(frequency >= low) & (frequency <= high)].sum()
            entropies.append(0.5 * np.log(2 * np.pi * np.e * power))
    return np.asarray(entropies, np.float32)


def view_rows(seconds: float) -> list[Row]:
    ecg = ecg_window()
    raw, hrv = views.ecg_raw(), views.ecg_hrv()
    name = "neurokit2 ecg_clean + ecg_peaks + hrv_time"
    rows = [
        Row("ecg.raw/1, 10 s at 256 Hz", milliseconds(lambda: raw(ecg), seconds), "ms a window"),
        Row("quality of ECG, 30 s at 256 Hz", milliseconds(lambda: quality(ecg), seconds), "ms a window"),
        Row(
            "ecg.hrv/1, 30 s at 256 Hz",
            milliseconds(lambda: hrv(ecg), seconds),
            "ms a window",
            name,
            milliseconds(lambda: neurokit_hrv(ecg), seconds),
        ),
    ]
    for channels in (19, 62):
        window = eeg_window(channels)
        view = views.eeg_de(channels=list(window.spec.channels))
        ours = milliseconds(lambda: view(window), seconds)  # noqa: B023 - called at once
        peer = milliseconds(lambda: welch_de(window), seconds)  # noqa: B023
        rows.append(
            Row(f"eeg.de/1, {channels} channels, 4 s at 200 Hz", ours, "ms a window", "scipy.signal.welch a channel", peer)
        )
    return rows


def whole(signal: Signal, seconds: float) -> Window:
    x = signal.samples[:, : round(seconds * signal.spec.rate)]
    return Window(signal.spec, 0.0, seconds, x, x, np.ones(x.shape[1], np.bool_))


def body_windows(seconds: float = 60.0) -> dict[Modality, Window]:
    """A simulated person's; muscle is noise and breath a sine, which cost what real ones do."""
    person = simulated.person(duration_s=seconds + 5, modalities=[m for m in simulated.SPECS if m is not Modality.EEG])
    windows = {signal.spec.modality: whole(signal, seconds) for signal in person.signals}
    rng = np.random.default_rng(0)
    for modality, rate in ((Modality.EMG, 700.0), (Modality.RESP, 25.0)):
        t = np.arange(round(seconds * rate)) / rate
        x = 20 * rng.normal(size=t.size) if modality is Modality.EMG else np.sin(np.pi / 2 * t) + 0.01 * rng.normal(size=t.size)
        spec = StreamSpec(str(modality), modality, (str(modality),), rate)
        windows[modality] = whole(Signal(spec, x[None].astype(np.float32)), seconds)
    return windows


def neurokit_eda(window: Window) -> object:
    import neurokit2 as nk

    rate = int(window.spec.rate)
    parts = nk.eda_phasic(window.samples[0], sampling_rate=rate, method="highpass")
    return nk.eda_peaks(parts["EDA_Phasic"].to_numpy(), sampling_rate=rate)


def neurokit_pulse(window: Window) -> object:
    import neurokit2 as nk

    rate = int(window.spec.rate)
    peaks = nk.ppg_findpeaks(nk.ppg_clean(window.samples[0], sampling_rate=rate), sampling_rate=rate)["PPG_Peaks"]
    return nk.hrv_time(peaks, sampling_rate=rate)


def neurokit_breath(window: Window) -> object:
    import neurokit2 as nk

    rate = int(window.spec.rate)
    return nk.rsp_peaks(nk.rsp_clean(window.samples[0], sampling_rate=rate), sampling_rate=rate)


PEERS: dict[str, tuple[str, Callable[[Window], object]]] = {
    "ecg.hrvfreq/1": ("neurokit2 ecg_clean + ecg_peaks + hrv_time", neurokit_hrv),
    "eda.tonic/1": ("neurokit2 eda_phasic + eda_peaks", neurokit_eda),
    "ppg.prv/1": ("neurokit2 ppg_clean + ppg_findpeaks + hrv_time", neurokit_pulse),
    "resp.stats/1": ("neurokit2 rsp_clean + rsp_peaks", neurokit_breath),
}
PARAMS: dict[str, dict[str, str]] = {"ppg.prv/1": {"bands": "lf+hf"}}


def body_rows(seconds: float) -> list[Row]:
    """Every view that is not of EEG, those timed above left out."""
    windows = body_windows()
    rows = []
    for name in sorted(views.FACTORIES.keys() - {"ecg.raw/1", "ecg.hrv/1"}):
        if name.startswith(("eeg.", "helo.eeg")):
            continue
        view = views.make(name, **PARAMS.get(name, {}))
        window = windows[view.modality].last(view.seconds)
        what = f"{name}, {view.seconds:g} s at {window.spec.rate:g} Hz"
        peer, call = PEERS.get(name, ("", None))
        ours = milliseconds(lambda: view(window), seconds)  # noqa: B023 - called at once
        theirs = milliseconds(lambda: call(window), seconds) if call else float("nan")  # noqa: B023
        rows.append(Row(what, ours, "ms a window", peer, theirs))
    return rows


def head_rows(seconds: float) -> list[Row]:
    rows = []
    for channels in (19, 62):
        window = eeg_window(channels, seconds=8.0)
        sites = [f"F{i}" for i in range(1, channels + 1)]
        window = replace(window, spec=replace(window.spec, channels=tuple(sites)))
        for name in ("eeg.asym/1", "eeg.relpower/1", "eeg.cov/1"):
            view = views.make(name, channels=sites)
            ours = milliseconds(lambda: view(window), seconds)  # noqa: B023 - called at once
            rows.append(Row(f"{name}, {channels} channels, {view.seconds:g} s at 200 Hz", ours, "ms a window"))
        person = Recentre(SpdPrior(np.eye(channels)[None]))
        x = views.eeg_cov(channels=sites)(window)
        what = f"recentring, {channels} channels: update and map"
        rows.append(Row(what, milliseconds(lambda: (person.update(x), person(x)), seconds), "ms a window"))  # noqa: B023
    return rows


def through(spec: StreamSpec, stamps: npt.NDArray[np.float64], chunk: int) -> float:
    """Samples a second (in millions) through grid, filter and windows in chunks of ``chunk``, cut every 5 s."""
    x = np.random.default_rng(0).normal(0, 10, (len(spec.channels), stamps.size)).astype(np.float32)
    windower = Windower({spec.modality: spec}, {spec.modality: 10.0}, 5.0)
    begin = time.perf_counter()
    for i in range(0, stamps.size, chunk):
        windower.push(spec.modality, Chunk(stamps[i : i + chunk], x[:, i : i + chunk]))
    return stamps.size / (time.perf_counter() - begin) / 1e6


def stream_rows() -> list[Row]:
    rng = np.random.default_rng(0)
    ecg = StreamSpec("ecg", Modality.ECG, ("I",), 256.0, "uV")
    eeg62 = StreamSpec("eeg", Modality.EEG, tuple(f"E{i}" for i in range(62)), 200.0, "uV")
    hour = np.arange(3600 * 256) / 256
    noisy = np.sort(hour + rng.normal(0, 0.005, hour.size))
    rows = []
    for name, stamps in (("clean stamps", hour), ("5 ms of jitter", noisy)):
        grid = Grid(256.0, 0.0)
        begin = time.perf_counter()
        for i in range(0, stamps.size, 256):
            grid.place(stamps[i : i + 256])
        rows.append(Row(f"grid alone, {name}", stamps.size / (time.perf_counter() - begin) / 1e6, "Msamples/s"))
        rows.append(Row(f"grid, filter, windows: 1 h ECG, {name}", through(ecg, stamps, 256), "Msamples/s"))
    five_minutes = np.arange(300 * 200) / 200
    rows.append(Row("grid, filter, windows: 62 EEG, chunks of 200", through(eeg62, five_minutes, 200), "Msamples/s"))
    rows.append(Row("grid, filter, windows: 62 EEG, chunks of 8", through(eeg62, five_minutes, 8), "Msamples/s"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="time the windows and the views")
    parser.add_argument("--seconds", type=float, default=1.0, help="time to spend on each view (default: 1)")
    args = parser.parse_args()
    for row in [*view_rows(args.seconds), *head_rows(args.seconds), *body_rows(args.seconds), *stream_rows()]:
        print(row)


if __name__ == "__main__":
    main()
