"""The published sets that need an agreement or a download of one's own: terms, citation, where to ask, what goes where."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Agreement(NamedTuple):
    licence: str
    citation: str
    where: str  # the official page
    files: str  # what is to lie under --root, in the publisher's names


_RESEARCH = "by agreement, for research alone"  # a model trained on it may not be yours to ship
_WESAD = Agreement(
    "CC BY 4.0",
    "Schmidt P, Reiss A, Duerichen R, Marberger C, Van Laerhoven K. Introducing WESAD, a multimodal dataset for Wearable "
    "Stress and Affect Detection. ICMI 2018, doi:10.1145/3242969.3242985.",
    "archive.ics.uci.edu/dataset/465",
    "S2/S2.pkl and S2/S2_quest.csv, ...",
)
_DREAMER = Agreement(
    _RESEARCH,
    "Katsigiannis S, Ramzan N. DREAMER: A Database for Emotion Recognition Through EEG and ECG Signals From Wireless Low-cost "
    "Off-the-Shelf Devices. IEEE JBHI 2018, 22(1), doi:10.1109/JBHI.2017.2688239.",
    "zenodo.org/records/546113",
    "DREAMER.mat",
)
_AMIGOS = Agreement(
    _RESEARCH,
    "Miranda-Correa JA, Abadi MK, Sebe N, Patras I. AMIGOS: A Dataset for Affect, Personality and Mood Research on "
    "Individuals and Groups. IEEE TAFFC 2021, 12(2), doi:10.1109/TAFFC.2018.2884461.",
    "www.eecs.qmul.ac.uk/mmv/datasets/amigos",
    "data_preprocessed/Data_Preprocessed_P01.mat, ... (or each in its folder)",
)
_SEED = Agreement(
    _RESEARCH,
    "Zheng WL, Lu BL. Investigating Critical Frequency Bands and Channels for EEG-based Emotion Recognition with Deep Neural "
    "Networks. IEEE TAMD 2015, 7(3), doi:10.1109/TAMD.2015.2431497.",
    "bcmi.sjtu.edu.cn/home/seed/seed.html",
    "Preprocessed_EEG/1_20131027.mat, ..., label.mat",
)
_SEED_IV = Agreement(
    _RESEARCH,
    "Zheng WL, Liu W, Lu Y, Lu BL, Cichocki A. EmotionMeter: A Multimodal Framework for Recognizing Human Emotions. IEEE "
    "Trans. Cybernetics 2019, 49(3), doi:10.1109/TCYB.2018.2797176.",
    "bcmi.sjtu.edu.cn/home/seed/seed-iv.html",
    "eeg_raw_data/1/1_20160518.mat, ...",
)
_SEED_V = Agreement(
    _RESEARCH,
    "Liu W, Qiu JL, Zheng WL, Lu BL. Comparing Recognition Performance and Robustness of Multimodal Deep Learning Models for "
    "Multimodal Emotion Recognition. IEEE TCDS 2022, 14(2), doi:10.1109/TCDS.2021.3071170.",
    "bcmi.sjtu.edu.cn/home/seed/seed-v.html",
    "EEG_raw/1_1_20180804.cnt, ...",
)
_FACED = Agreement(
    "terms of Synapse syn50614194",
    "Chen J, Wang X, Huang C, Hu X, Shen X, Zhang D. A Large Finer-grained Affective Computing EEG Dataset. Scientific Data "
    "2023, 10, 740, doi:10.1038/s41597-023-02650-w.",
    "www.synapse.org/Synapse:syn50614194",
    "Processed_data/sub000.pkl, ...; for the self-reports Data/sub000/After_remarks.mat",
)
_DMER = Agreement(
    _RESEARCH,
    "Yang P, Liu N, Liu X, Shu Y, Ji W, Ren Z, et al. A Multimodal Dataset for Mixed Emotion Recognition. Scientific Data "
    "2024, 11, 847, doi:10.1038/s41597-024-03676-4.",
    "doi.org/10.1038/s41597-024-03676-4 (data availability)",
    "MixedEmoR/1/datas.mat, ...",
)
_SEED_FILES = "ExtractedFeatures/1_20131027.mat, ... (or ExtractedFeatures_1s, _4s), label.mat"
_SEED_IV_FILES = "eeg_feature_smooth/1/1_20160518.mat, ..."

AGREEMENTS = MappingProxyType(
    {
        **dict.fromkeys(("wesad", "wesad_e4"), _WESAD),
        **dict.fromkeys(("dreamer", "dreamer-arousal", "dreamer-dominance"), _DREAMER),
        **dict.fromkeys(("amigos", "amigos-arousal", "amigos-dominance"), _AMIGOS),
        "seed": _SEED,
        **dict.fromkeys(("seed_de", "seed_de_lds"), _SEED._replace(files=_SEED_FILES)),
        "seed_iv": _SEED_IV,
        **dict.fromkeys(("seed_iv_de", "seed_iv_de_lds"), _SEED_IV._replace(files=_SEED_IV_FILES)),
        "seed_v": _SEED_V,
        "seed_v_de": _SEED_V._replace(files="EEG_DE_features/1_123.npz, ..."),
        "faced": _FACED,
        "faced_de": _FACED._replace(files="EEG_Features/DE/sub000.pkl.pkl, ...; Data/sub000/After_remarks.mat"),
        "dmer": _DMER,
    }
)
