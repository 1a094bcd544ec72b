"""EEGMAT: 19-channel EEG and ECG at rest and during mental arithmetic (mental load, not emotion).

Zyma et al., Electroencephalograms during Mental Arithmetic Task Performance, Data 4(1), 14, 2019; PhysioNet,
doi:10.13026/C2JQ1P, ODC-BY 1.0. Rest always came first and class coincides with source file.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from streamaffect.datasets.npz import Arrays, NpzDataset, details, physical, text
from streamaffect.signals import Float32, Modality, Recording, Signal, StreamSpec, Trial

RUNS = {"rest": "rest", "arithmetic": "load"}  # the file's name of the run -> label
NOT_EEG = "A2-A1"  # the ear-to-ear channel: no site on the scalp, so out of any average reference
ECG_UV_PER_UNIT = 1000.0  # kept in millivolts


def _parse(arrays: Arrays) -> Recording:
    labels = [str(label) for label in arrays["eeg_channels"]]
    scalp = [i for i, label in enumerate(labels) if label != NOT_EEG]
    runs = {
        run: (
            physical(arrays[f"{run}_eeg"], arrays[f"{run}_eeg_scale"])[scalp],
            physical(arrays[f"{run}_ecg"], arrays[f"{run}_ecg_scale"], ECG_UV_PER_UNIT),
        )
        for run in RUNS
    }
    rates = float(arrays["eeg_fs"]), float(arrays["ecg_fs"])
    about = details(arrays, "age", "gender", "n_subtractions", "count_quality")
    return join(text(arrays, "subject"), tuple(labels[i] for i in scalp), rates, runs, about)


def join(
    subject: str,
    sites: tuple[str, ...],
    rates: tuple[float, float],
    runs: Mapping[str, tuple[Float32, Float32]],
    about: Mapping[str, str | float],
) -> Recording:
    """``runs``: EEG (sites, n) and ECG (1, m) in uV of each of ``RUNS``, at the two ``rates``.

    The two runs follow each other on one clock: trial ``rest`` (label rest), then ``arithmetic`` (label load). They were not
    recorded without a pause: at the joint the signals jump.
    """
    eeg_rate, ecg_rate = rates
    eeg, ecg, trials, start_s = [], [], [], 0.0
    for run, label in RUNS.items():
        run_eeg, run_ecg = runs[run]
        # Both grids must meet again at the joint: whole seconds.
        seconds = int(min(run_eeg.shape[1] / eeg_rate, run_ecg.shape[1] / ecg_rate))
        eeg.append(run_eeg[:, : round(seconds * eeg_rate)])
        ecg.append(run_ecg[:, : round(seconds * ecg_rate)])
        trials.append(Trial(run, label, start_s, start_s + seconds))
        start_s += seconds
    return Recording(
        dataset="eegmat",
        subject=subject,
        signals=(
            Signal(StreamSpec("ecg", Modality.ECG, ("ECG",), ecg_rate, "uV"), _join(ecg)),
            Signal(StreamSpec("eeg", Modality.EEG, sites, eeg_rate, "uV"), _join(eeg)),
        ),
        trials=tuple(trials),
        meta=MappingProxyType({"licence": "ODC-BY 1.0", **about}),
    )


def _join(runs: list[Float32]) -> Float32:
    return np.ascontiguousarray(np.concatenate(runs, axis=1))


ABOUT = "19-channel EEG and ECG at rest and in mental arithmetic"
EEGMAT = NpzDataset("eegmat", frozenset({"rest_eeg", "rest_ecg", "arithmetic_eeg", "arithmetic_ecg"}), _parse, ABOUT)
