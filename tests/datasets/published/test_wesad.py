"""WESAD, in files as Python 2 wrote them: pickle protocol 0, arrays as quoted text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.datasets.wesad import PANAS
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording

SECONDS = 60
# (label, seconds) in the order of a session whose fun came first; 5 and 6 are readings, to be ignored.
SESSION = ((0, 3), (1, 10), (0, 2), (3, 8), (4, 5), (0, 4), (5, 3), (2, 9), (6, 3), (4, 6), (7, 2), (0, 5))
# Made up; after stress one item is not answered, and two more were asked.
CALM = "4;1;5;4;1;4;1;1;1;3;4;1;5;1;4;1;4;5;1;1;1;1;5;1"
STRESSED = "4;3;2;1;4;2;1;3;2;2;1;4;1;2;5;;3;4;5;3;5;4;1;2;3;1"
QUEST = "\n".join(
    [
        "# Subj;S5" + ";" * 24,
        "# ORDER;Base;Fun;Medi 1;TSST;Medi 2;sRead;fRead" + ";" * 18,
        "# START;7.08;39.55;70.19;81.25;93.38;54.42;89.51" + ";" * 18,
        "# END;26.32;50.3;77.1;87.47;100.15;56.07;91.15" + ";" * 18,
        ";" * 26,
        f"# PANAS;{CALM};;",
        f"# PANAS;{CALM};;",
        f"# PANAS;{CALM};;",
        f"# PANAS;{STRESSED}",
        f"# PANAS;{CALM};;",
        ";" * 26,
        *(f"# STAI;{i};2;1;4;2;3" + ";" * 20 for i in range(1, 6)),
        ";" * 26,
        *(f"# DIM;{valence};{arousal}" + ";" * 24 for valence, arousal in ((7, 2), (8, 3), (6, 1), (5, 8), (7, 1))),
        ";" * 26,
        "# SSSQ;3;5;5;4;3;2" + ";" * 20,
    ]
)


def py2_pickle(value: object) -> bytes:
    """As cPickle.dump(value) of Python 2 has it, less the memo."""
    if isinstance(value, dict):
        return b"(d" + b"".join(py2_pickle(key) + py2_pickle(item) + b"s" for key, item in value.items())
    if isinstance(value, str):
        return b"S" + repr(value).encode() + b"\n"
    assert isinstance(value, np.ndarray)
    shape = b"".join(b"I%d\n" % size for size in value.shape)
    dtype = b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb" % value.dtype.str[1:].encode()
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return made + b"(I1\n(" + shape + b"t" + dtype + b"I00\nS" + repr(value.tobytes())[1:].encode() + b"\ntb"


def content(subject: str = "S5") -> dict[str, object]:
    rng = np.random.default_rng(5)
    chest = {name: rng.normal(size=(SECONDS * 700, 1)) for name in ("ECG", "EMG", "EDA", "Resp")}
    wrist = {"BVP": 64, "EDA": 4, "TEMP": 4}
    label = np.concatenate([np.full(seconds * 700, code) for code, seconds in SESSION]).astype(np.int32)
    return {
        "signal": {
            "chest": {
                "ACC": rng.normal(size=(SECONDS * 700, 3)),
                **chest,
                "Temp": rng.normal(34, 0.1, (SECONDS * 700, 1)).astype(np.float32),
            },
            "wrist": {
                "ACC": np.tile([0.0, 0.0, 64.0], (SECONDS * 32, 1)),
                **{name: rng.normal(size=(SECONDS * rate, 1)) for name, rate in wrist.items()},
            },
        },
        "label": label,
        "subject": subject,
    }


def write(root: Path, subject: str = "S5", spoiled: object = None, quest: str | None = QUEST) -> Path:
    """``spoiled``: what is written instead."""
    place = root / "WESAD" / subject
    place.mkdir(parents=True)
    (place / f"{subject}.pkl").write_bytes(py2_pickle(content(subject) if spoiled is None else spoiled) + b".")
    if quest is not None:
        (place / f"{subject}_quest.csv").write_text(quest)
    return place


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    root = tmp_path_factory.mktemp("wesad")
    write(root)
    [one] = datasets.open("wesad", root)
    return one


def test_streams_have_the_published_rates_and_our_units(recording: Recording) -> None:
    specs = {signal.spec.name: signal.spec for signal in recording.signals}
    assert {name: (spec.modality, spec.rate, spec.unit) for name, spec in specs.items()} == {
        "chest-ecg": (Modality.ECG, 700, "uV"),
        "chest-eda": (Modality.EDA, 700, "uS"),
        "chest-emg": (Modality.EMG, 700, "uV"),
        "chest-resp": (Modality.RESP, 700, "%"),
        "chest-temp": (Modality.TEMP, 700, "degC"),
        "chest-acc": (Modality.ACC, 700, "g"),
        "wrist-bvp": (Modality.PPG, 64, "au"),
        "wrist-eda": (Modality.EDA, 4, "uS"),
        "wrist-temp": (Modality.TEMP, 4, "degC"),
        "wrist-acc": (Modality.ACC, 32, "g"),
    }
    assert {signal.end_s for signal in recording.signals} == {SECONDS}
    source: dict[str, dict[str, np.ndarray]] = content()["signal"]  # type: ignore[assignment]
    samples = {signal.spec.name: signal.samples for signal in recording.signals}
    assert all(one.dtype == np.float32 and one.flags.c_contiguous for one in samples.values())
    assert np.allclose(samples["chest-ecg"][0], 1000 * source["chest"]["ECG"][:, 0], rtol=1e-5)
    assert np.allclose(samples["chest-acc"], source["chest"]["ACC"].T, rtol=1e-5)
    assert np.allclose(samples["chest-temp"][0], source["chest"]["Temp"][:, 0])
    assert np.allclose(samples["wrist-acc"], [[0], [0], [1]])
    assert np.allclose(samples["wrist-eda"][0], source["wrist"]["EDA"][:, 0], rtol=1e-5)


def test_conditions_are_trials_and_the_rest_is_unlabelled(recording: Recording) -> None:
    assert [(trial.name, trial.label, trial.start_s, trial.end_s) for trial in recording.trials] == [
        ("baseline", "baseline", 3, 13),
        ("amusement", "amusement", 15, 23),
        ("meditation", "meditation", 23, 28),
        ("stress", "stress", 35, 44),
        ("meditation-2", "meditation", 47, 53),
    ]


def test_reports_go_to_the_trial_they_were_given_after(recording: Recording) -> None:
    assert recording.meta["stress/sam.valence"] == 5
    assert recording.meta["stress/sam.arousal"] == 8
    assert recording.meta["meditation-2/sam.arousal"] == 1
    assert recording.meta["stress/stai.at ease"] == 4
    assert recording.meta["stress/sssq.2"] == 5
    assert recording.meta["stress/panas.alert"] == 5
    assert not [key for key in recording.meta if "sssq" in key and not key.startswith("stress/")]
    trials = {trial.name: trial.distributions["panas"] for trial in recording.trials}
    assert all(sum(shares.values()) == pytest.approx(1) for shares in trials.values())
    assert len(trials["baseline"]) == 24
    assert len(trials["stress"]) == 25  # one was not answered
    assert "nervous" not in trials["stress"]
    assert "stress/panas.nervous" not in recording.meta
    assert trials["stress"]["angry"] == pytest.approx(trials["stress"]["irritated"] * 3)


def test_wrist_may_come_first(tmp_path: Path) -> None:
    write(tmp_path)
    [one] = datasets.open("wesad_e4", tmp_path / "WESAD")
    first = {}
    for signal in one.signals:
        first.setdefault(signal.spec.modality, signal.spec.name)
    assert first[Modality.EDA] == "wrist-eda"
    assert first[Modality.ECG] == "chest-ecg"
    assert one.dataset == "wesad_e4"


def test_people_are_in_natural_order(tmp_path: Path) -> None:
    for subject in ("S10", "S2"):
        (tmp_path / subject).mkdir()
        (tmp_path / subject / f"{subject}.pkl").touch()
    assert datasets.open("wesad", tmp_path).subjects == ("S2", "S10")


def test_without_questionnaire_there_are_labels_alone(tmp_path: Path) -> None:
    write(tmp_path, quest=None)
    [one] = datasets.open("wesad", tmp_path)
    assert one.meta["questionnaire"] == "missing: S5_quest.csv"
    assert [trial.label for trial in one.trials][:2] == ["baseline", "amusement"]
    assert not any(trial.distributions for trial in one.trials)


def test_items_are_those_of_the_open_wrist_part_in_the_same_order(data_root: Path) -> None:
    wrist = datasets.read(data_root / "wesad_wrist" / "S2.npz")
    assert set(PANAS[:24]) == set(wrist.trials[0].distributions["panas"])
    assert tuple(key.partition("panas.")[2] for key in wrist.meta if key.startswith("stress/panas.")) == PANAS


def _without(path: tuple[str, ...]) -> dict[str, object]:
    spoiled = content()
    inner: dict[str, dict[str, object]] = spoiled  # type: ignore[assignment]
    for key in path[:-1]:
        inner = inner[key]  # type: ignore[assignment]
    del inner[path[-1]]
    return spoiled


def _with(path: tuple[str, ...], value: object) -> dict[str, object]:
    spoiled = _without(path)
    inner: dict[str, dict[str, object]] = spoiled  # type: ignore[assignment]
    for key in path[:-1]:
        inner = inner[key]  # type: ignore[assignment]
    inner[path[-1]] = value  # type: ignore[assignment]
    return spoiled


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (_without(("signal", "chest", "ECG")), "has a field 'ECG' there, this file lacks it"),
        (_without(("label",)), "has a field 'label' there"),
        (_with(("subject",), "S6"), "it says to be of 'S6'"),
        (_with(("signal", "chest", "ECG"), np.zeros((42000, 2))), r"chest ECG has shape \(2, 42000\)"),
        (_with(("signal", "chest", "ECG"), np.zeros((700, 1))), "chest-ecg ends at 1 s, .* at 60 s"),
        (_with(("label",), np.zeros(42000, np.int32)), "none of the conditions"),
        (_with(("signal",), "nothing"), "a field is not as 'wesad' has it"),
    ],
)
def test_broken_files_are_told_in_one_line(tmp_path: Path, spoiled: object, said: str) -> None:
    write(tmp_path, spoiled=spoiled)
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("wesad", tmp_path)))
    assert "S5.pkl" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("quest", "said"),
    [
        (QUEST.replace("# DIM;7;2", "# XXX;7;2"), "4 rows # DIM for 5 conditions"),
        (QUEST.replace("TSST", "Base"), "lacks stress"),
        (QUEST.replace("# STAI;1", "# STAI;x"), "could not convert"),
        ("", "lacks baseline"),
    ],
)
def test_questionnaire_that_does_not_fit_is_refused(tmp_path: Path, quest: str, said: str) -> None:
    write(tmp_path, quest=quest)
    with pytest.raises(DatasetError, match=rf"S5_quest.csv: .*{said}"):
        next(iter(datasets.open("wesad", tmp_path)))


def test_truncated_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path) / "S5.pkl"
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(DatasetError, match="truncated or damaged"):
        next(iter(datasets.open("wesad", tmp_path)))
