"""Causal filters that carry their state from chunk to chunk: the same bits however the stream is cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float32, Modality

# Pass bands [Hz]. ECG: dynAmiC, section 4. EEG: above the electrodes' drift; the bands are cut by the view itself.
# Views read what passes: a change here is a new version of every view of that modality.
# Slow signals (EDA, TEMP) and ACC, whose mean is posture, pass as they are.
PASS_BANDS: dict[Modality, tuple[float, float | None]] = {
    Modality.ECG: (0.5, 40.0),
    Modality.EEG: (0.5, None),
    Modality.PPG: (0.5, 8.0),
    Modality.EMG: (20.0, None),
}


class Filter:
    """A second-order Butterworth band-pass (high-pass where the band has no upper end, or above 0.45 of the rate)."""

    def __init__(self, modality: Modality, channels: int, rate: float) -> None:
        from scipy.signal import butter, sosfilt_zi

        self._sos: npt.NDArray[np.float64] | None = None
        band = PASS_BANDS.get(modality)
        if band is None or band[0] >= 0.45 * rate:
            return
        low, high = band
        if high is None or high >= 0.45 * rate:
            self._sos = butter(2, low, "highpass", fs=rate, output="sos")
        else:
            self._sos = butter(2, (low, high), "bandpass", fs=rate, output="sos")
        self._rest = sosfilt_zi(self._sos)[:, None, :]  # (sections, 1, 2): the state of a constant input of 1
        self._channels = channels
        self._state: npt.NDArray[np.float64] | None = None

    def reset(self) -> None:
        """Forget the past: the next sample starts the filter at rest."""
        if self._sos is not None:
            self._state = None

    def __call__(self, samples: Float32) -> Float32:
        """Filter ``samples`` (channels, n), finite, that follow those of the last call."""
        if self._sos is None or samples.shape[1] == 0:
            return samples
        from scipy.signal import sosfilt

        x = samples.astype(np.float64)
        if self._state is None:
            self._state = self._rest * x[None, :, :1]
        y, self._state = sosfilt(self._sos, x, axis=-1, zi=self._state)
        return np.asarray(y, np.float32)
