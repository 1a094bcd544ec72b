"""Licence and citation of the data sets that may go into a model that ships."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from streamaffect.datasets.agreements import AGREEMENTS


class Provenance(NamedTuple):
    licence: str
    citation: str


_EEGMAT = Provenance(
    "Open Data Commons Attribution License v1.0 (ODC-BY 1.0)",
    "Zyma I, Tukaev S, Seleznov I, Kiyono K, Popov A, Chernykh M, Shpenkov O. Electroencephalograms during Mental "
    "Arithmetic Task Performance. Data 2019, 4(1), 14, doi:10.3390/data4010014; PhysioNet 'EEG During Mental "
    "Arithmetic Tasks' 1.0.0, doi:10.13026/C2JQ1P (Goldberger et al. 2000).",
)
PROVENANCE = MappingProxyType(
    {
        "eegmat": _EEGMAT,
        "wesad_wrist": Provenance(
            "CC BY 4.0",
            "Schmidt P, Reiss A, Duerichen R, Marberger C, Van Laerhoven K. Introducing WESAD, a multimodal dataset for "
            "Wearable Stress and Affect Detection. ICMI 2018, doi:10.1145/3242969.3242985.",
        ),
        "stress_predict": Provenance(
            "MIT",
            "Iqbal T, Simpkin AJ, Roshan D, et al. Stress Monitoring Using Wearable Sensors: A Pilot Study and "
            "Stress-Predict Dataset. Sensors 2022, 22(21), 8135, doi:10.3390/s22218135.",
        ),
        "induced_stress": Provenance(
            "Open Data Commons Attribution License v1.0 (ODC-BY 1.0)",
            "Hongn A, Bosch F, Prado LE, Bonomini P. Wearable Device Dataset from Induced Stress and Structured Exercise "
            "Sessions. PhysioNet 2025, doi:10.13026/zzf8-xv61.",
        ),
        "eegmat_edf": _EEGMAT,
        "simulated": Provenance(
            "made by streamaffect, free of rights", "no person: a simulation by streamaffect (after McSharry et al. 2003)"
        ),
        **{name: Provenance(agreement.licence, agreement.citation) for name, agreement in AGREEMENTS.items()},
    }
)
UNKNOWN = Provenance("not stated", "not stated")
# Where each set is to be had.
WHERE = MappingProxyType(
    {
        "eegmat": "physionet.org/content/eegmat (as .edf: see eegmat_edf)",
        "eegmat_edf": "physionet.org/content/eegmat",
        "wesad_wrist": "archive.ics.uci.edu/dataset/465 (its wrist part)",
        "stress_predict": "github.com/italha-d/Stress-Predict-Dataset",
        "induced_stress": "physionet.org, doi:10.13026/zzf8-xv61",
        "simulated": "built in",
        "amanda": "features of IEMOCAP, MSP-IMPROV, CMU-MOSEI, MELD, extracted by yourself",
    }
)
OWN_FILES = "your own files"
