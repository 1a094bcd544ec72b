"""What a channel measures, told by its label."""

from __future__ import annotations

import re

from streamaffect.signals import Modality

# Sites of the 10-20 system and its denser kin (Jurcak et al., NeuroImage 34(4), 2007), and SEED's CB1 and CB2. Ears and
# mastoids are no scalp: out of any average reference.
_SITE = r"(?:Fp|AF|AFF|F|FFT|FT|FC|FFC|FTT|FCC|T|TTP|TP|C|CCP|CP|CPP|TPP|P|PPO|PO|POO|O|OI|I|CB)(?:z|\d{1,2})h?"
_EARS = re.compile(r"(?i)^(?:A|M)[12](?:\s*[-/]\s*(?:A|M)?[12])?$")
_EEG = re.compile(rf"(?i)^(?P<prefix>EEG[\s:_.-]*)?(?P<site>{_SITE})(?P<reference>\s*[-/]\s*\w+)?\.*$")
_PREFIXED = re.compile(r"(?i)^EEG[\s:_.-]+(?P<rest>.+)$")
_WORDS = {
    Modality.ECG: r"ecg|ekg|electrocardiogra\w*",
    Modality.EDA: r"eda|gsr|scl|scr|skin[\s_]?conduct\w*|electrodermal\w*",
    Modality.RESP: r"resp\w*|breath\w*|thor(?:ax|acic)?|abdo\w*|airflow|nasal",
    Modality.EMG: r"emg|electromyogra\w*",
    Modality.PPG: r"ppg|bvp|plet\w*|photoplet\w*",
    Modality.ACC: r"acc|accel\w*",
    Modality.TEMP: r"temp\w*|skt",
}
_MODALITIES = {modality: re.compile(rf"(?i)(?:^|[^a-z])(?:{words})(?=$|[^a-z])") for modality, words in _WORDS.items()}


def guess(label: str) -> tuple[Modality, str] | None:
    """Modality and channel name by a label such as ``EEG Fp1-REF`` (eeg, Fp1), ``EKG1``, ``GSR``; None for any other.

    A pair of sites (``Fpz-Cz``) keeps both names: it is another signal than either site's.
    """
    label = label.strip()
    bare = prefixed["rest"].strip() if (prefixed := _PREFIXED.match(label)) else label
    if _EARS.match(bare):
        return None
    if found := _EEG.match(label):
        pair = re.fullmatch(rf"(?i)\s*[-/]\s*{_SITE}", found["reference"] or "")
        return Modality.EEG, found["site"] + (found["reference"].replace(" ", "") if pair else "")
    for modality, pattern in _MODALITIES.items():
        if pattern.search(label):
            words = label.split()
            return modality, words[0] if len(set(words)) == 1 else label
    return (Modality.EEG, bare) if prefixed else None


def modality_of(word: str) -> Modality | None:
    """By the name of a kind of signal: a stream's type (``ECG``, ``GSR``, ``BVP``) or our own names."""
    word = word.strip()
    if word.casefold() in {str(modality) for modality in Modality}:
        return Modality(word.casefold())
    return next((modality for modality, pattern in _MODALITIES.items() if pattern.fullmatch(word)), None)
