"""From windows to what the model reads: reasons, statistics, and the same bits whatever the chunks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.features import views
from streamaffect.features.extract import Extractor, Features, chunks_of, specs_of, windows_of
from streamaffect.features.normalise import Prior
from streamaffect.features.windows import Windower
from streamaffect.signals import Modality, Recording, Signal

VIEWS = (views.ecg_raw(), views.ecg_hrv(), views.eeg_de(channels=["Cz", "Pz", "O1"]))
PRIOR = Prior(np.zeros(6), np.ones(6), np.ones(6))


@pytest.fixture(scope="module")
def person() -> Recording:
    return simulated.person("person-2", duration_s=70, modalities=[Modality.ECG, Modality.EEG])


def bits(seen: list[Features]) -> list[object]:
    return [
        (
            f.seq,
            f.t_end_s,
            f.reason,
            f.coverage,
            sorted(f.quality.items()),
            [(k, f.plain[k].tobytes(), f.x[k].tobytes()) for k in f.x],
        )
        for f in seen
    ]


def play(recording: Recording, chunk_s: float = 1.0, **signals: np.ndarray) -> list[Features]:
    changed = tuple(replace(s, samples=signals.get(str(s.spec.modality), s.samples)) for s in recording.signals)
    return list(windows_of(replace(recording, signals=changed), Extractor(VIEWS, {"ecg.hrv": PRIOR}), 5.0, chunk_s))


@pytest.mark.parametrize("chunk_s", [0.05, 0.33, 7.0, 29.0, 1000.0])
def test_features_are_the_same_bits_for_any_chunk(person: Recording, chunk_s: float) -> None:
    assert bits(play(person, chunk_s)) == bits(play(person))


def test_stream_that_starts_later_is_aligned_for_any_chunk(person: Recording) -> None:
    ecg, eeg = person.signals
    late = replace(person, signals=(ecg, Signal(eeg.spec, eeg.samples[:, : 50 * 256], 12.345)))
    seen = play(late, 0.5)
    assert bits(seen) == bits(play(late, 20.0))
    assert [f.reason for f in seen[:2]] == ["missing_modality", "missing_modality"]
    assert seen[7].reason is None


def test_the_grid_begins_with_the_first_stream_whichever_is_read_first(person: Recording) -> None:
    ecg, eeg = person.signals
    late = replace(person, signals=(replace(ecg, start_s=0.5), eeg))
    ends = {
        tuple(f.t_end_s for f in windows_of(late, Extractor(views, {}), 5.0, chunk_s))
        for views in (VIEWS, VIEWS[::-1])
        for chunk_s in (0.2, 1.0)
    }
    assert len(ends) == 1
    assert next(iter(ends))[0] == 5.0


def test_real_recording_gives_the_same_bits_for_any_chunk(eegmat: Path) -> None:
    recording = datasets.read(eegmat / "Subject05.npz")

    def run(chunk_s: float) -> list[object]:
        return bits(list(windows_of(recording, Extractor((views.ecg_hrv(), views.eeg_de(channels=["Cz"])), {}), 5.0, chunk_s)))

    assert run(0.7) == run(25.0)


def test_first_windows_warm_up_and_the_rest_are_trusted(person: Recording) -> None:
    seen = play(person)
    assert [f.reason for f in seen[:4]] == ["warming_up"] * 4  # 30 s of ECG, of which 21 must be there
    assert all(f.reason is None for f in seen[4:])
    assert seen[-1].coverage == 1.0


def only(recording: Recording, modality: Modality) -> Recording:
    return replace(recording, signals=tuple(s for s in recording.signals if s.spec.modality is modality))


def play_ecg(recording: Recording, ecg: np.ndarray) -> list[Features]:
    changed = replace(recording, signals=(replace(only(recording, Modality.ECG).signals[0], samples=ecg),))
    return list(windows_of(changed, Extractor(VIEWS[:2], {"ecg.hrv": PRIOR}), 5.0))


def test_hole_costs_coverage_and_noise_costs_quality(person: Recording) -> None:
    ecg = person.signals[0].samples.copy()
    ecg[:, 40 * 256 : 52 * 256] = np.nan
    seen = {round(f.t_end_s): f for f in play_ecg(person, ecg)}
    assert seen[40].reason is None
    assert seen[50].reason == "coverage"
    assert np.isfinite(seen[50].x["ecg.hrv"]).all()
    noise = np.random.default_rng(0).normal(0, 100, ecg.shape).astype(np.float32)
    assert {f.reason for f in play_ecg(person, noise)[6:]} == {"quality"}


def test_one_modality_in_a_hole_is_missing_and_the_other_speaks(person: Recording) -> None:
    ecg = person.signals[0].samples.copy()
    ecg[:, 35 * 256 : 45 * 256] = np.nan
    whole = {round(f.t_end_s): f for f in play(person)}
    seen = {round(f.t_end_s): f for f in play(person, ecg=ecg)}
    assert seen[35].whole
    hole = seen[50]
    assert (hole.reason, hole.missing, hole.whole) == (None, {Modality.ECG}, False)
    assert all(np.isnan(hole.x[key]).all() for key in ("ecg.raw", "ecg.hrv"))
    assert np.array_equal(hole.x["eeg.de"], whole[50].x["eeg.de"])
    assert hole.quality == {Modality.ECG: None, Modality.EEG: 1.0}
    assert hole.coverage == 1.0  # of what counts
    assert seen[65].missing == {Modality.ECG}  # 20 of 30 s
    assert seen[70].whole  # 25: it counts again


def test_one_modality_of_poor_quality_is_missing_and_says_how_poor(person: Recording) -> None:
    noise = np.random.default_rng(0).normal(0, 100, person.signals[0].samples.shape).astype(np.float32)
    for features in play(person, ecg=noise)[6:]:
        assert (features.reason, features.missing) == (None, {Modality.ECG})
        assert 0 <= features.quality[Modality.ECG] < 0.5


def test_all_modalities_in_a_hole_abstain(person: Recording) -> None:
    gone = {str(s.spec.modality): s.samples.copy() for s in person.signals}
    for samples in gone.values():
        samples[:, 35 * 256 : 45 * 256] = np.nan
    seen = {round(f.t_end_s): f for f in play(person, **gone)}
    assert (seen[45].reason, seen[45].missing) == ("missing_modality", frozenset())  # the EEG's 4 s are all hole
    assert seen[70].whole


def test_untrusted_windows_do_not_count_in_the_statistics(person: Recording) -> None:
    ecg = person.signals[0].samples.copy()
    ecg[:, 40 * 256 :] = np.random.default_rng(0).normal(0, 100, (1, ecg.shape[1] - 40 * 256))
    changed = tuple(replace(s, samples=ecg) if s.spec.modality is Modality.ECG else s for s in person.signals)
    eeg = Prior(np.zeros(15), np.ones(15), np.ones(15))
    extractor = Extractor(VIEWS, {"ecg.hrv": PRIOR, "eeg.de": eeg})
    seen = list(windows_of(replace(person, signals=changed), extractor, 5.0))
    assert extractor.normalisers["ecg.hrv"].n == sum(f.whole for f in seen) < len(seen) - 4
    assert extractor.normalisers["eeg.de"].n == sum(f.reason is None for f in seen) > sum(f.whole for f in seen)


def test_what_could_not_be_computed_is_missing_to_the_model(person: Recording) -> None:
    flat = np.zeros_like(person.signals[0].samples)
    last = play_ecg(person, flat)[-1]
    assert last.reason == "quality"
    for key in ("ecg.raw", "ecg.hrv"):
        assert np.isnan(last.plain[key]).all()
        assert np.isnan(last.x[key]).any()


def test_missing_modality_is_named(person: Recording) -> None:
    specs = specs_of(person, VIEWS)
    extractor = Extractor(VIEWS, {})
    windower = Windower(specs, extractor.context_s(), 5.0)
    windower.stall(Modality.EEG)
    observations = []
    for modality, chunk in chunks_of(person, {Modality.ECG: specs[Modality.ECG]}, 5.0):
        observations.extend(windower.push(modality, chunk)[0])
    features = extractor(observations[-1])
    assert (features.reason, features.missing) == (None, {Modality.EEG})
    assert features.quality[Modality.EEG] is None
    assert np.isnan(features.plain["eeg.de"]).all()
    first = Extractor(VIEWS, {})(observations[0])
    assert first.reason == "missing_modality"  # the ECG is only warming up


def test_quality_that_raises_abstains(person: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> float:
        raise RuntimeError("detector fell over")

    monkeypatch.setattr("streamaffect.features.extract.quality", fail)
    last = play(person)[-1]
    assert last.reason == "quality"
    assert last.quality[Modality.ECG] == 0.0


def test_first_stream_of_a_modality_counts(person: Recording) -> None:
    ecg = person.signals[0]
    other = Signal(replace(ecg.spec, name="ecg-2"), np.zeros_like(ecg.samples))
    twice = replace(person, signals=(*person.signals, other))
    assert specs_of(twice, VIEWS)[Modality.ECG].name == "ecg"
    seen = list(windows_of(twice, Extractor((views.ecg_hrv(),), {}), 5.0))
    assert seen[-1].reason is None


def test_recording_without_the_views_streams_is_refused(person: Recording) -> None:
    with pytest.raises(ValueError, match="simulated/person-2 has no eeg: it has ecg"):
        specs_of(replace(person, signals=person.signals[:1]), VIEWS)
