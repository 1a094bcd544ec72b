"""Recentring in the path of the river: the same bits offline and live, and an unknown mixing of the electrodes cancels out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamaffect.features import views
from streamaffect.features.extract import Extractor, Features, windows_of
from streamaffect.features.normalise import Normaliser, Prior
from streamaffect.features.personal import fit_prior, normaliser_of
from streamaffect.features.recentre import Recentre, SpdPrior
from streamaffect.signals import Float32, Modality, Recording, Signal, StreamSpec

SITES = ("Cz", "Pz", "O1", "O2")
SPEC = StreamSpec("eeg", Modality.EEG, SITES, 128.0, "uV")
VIEW = views.eeg_cov(channels=list(SITES), bands=["theta", "alpha"], seconds=4.0, shrink=1e-4, reference="none")


def person(seed: int, seconds: int = 120) -> Recording:
    """Noise, and a rhythm that comes and goes at some electrodes."""
    rng = np.random.default_rng(seed)
    t = np.arange(seconds * 128) / 128
    waxing = 1 + np.sin(2 * np.pi * t / 37 + seed)
    rhythm = np.asarray([[1.0], [3.0], [8.0], [6.0]]) * waxing * np.sin(2 * np.pi * 10 * t)
    x = 8 * rng.normal(size=(4, t.size)) + rhythm
    return Recording("made-up", f"p{seed}", (Signal(SPEC, x.astype(np.float32)),), ())


def mixed(recording: Recording, mixing: Float32) -> Recording:
    (signal,) = recording.signals
    return replace(recording, signals=(replace(signal, samples=mixing @ signal.samples),))


def play(recording: Recording, prior: SpdPrior, chunk_s: float = 1.0) -> tuple[Extractor, list[Features]]:
    extractor = Extractor((VIEW,), {"eeg.cov": prior})
    return extractor, [f for f in windows_of(recording, extractor, 2.0, chunk_s) if f.whole]


def plain(recording: Recording) -> Float32:
    seen = windows_of(recording, Extractor((VIEW,), {}), 2.0)
    return np.stack([f.plain["eeg.cov"] for f in seen if f.whole])


@pytest.fixture(scope="module")
def prior() -> SpdPrior:
    people = [plain(person(seed)) for seed in (1, 2)]
    found = fit_prior(VIEW, np.concatenate(people), np.repeat(["p1", "p2"], [len(x) for x in people]), {})
    assert isinstance(found, SpdPrior)
    return found


@pytest.mark.parametrize("chunk_s", [0.05, 0.33, 20.0])
def test_recentred_windows_are_the_same_bits_streamed_and_offline(prior: SpdPrior, chunk_s: float) -> None:
    recording = person(3)
    _, streamed = play(recording, prior, chunk_s)
    offline = Recentre(prior)
    assert len(streamed) > 50
    for features, row in zip(streamed, plain(recording), strict=True):
        offline.update(row)
        assert features.x["eeg.cov"].tobytes() == offline(row).tobytes()


def test_snapshot_keeps_the_person_as_they_were(prior: SpdPrior) -> None:
    recording = person(3)
    rows = plain(recording)
    extractor, _ = play(recording, prior)
    twin = extractor.snapshot()
    before = extractor.normalise("eeg.cov", rows)
    extractor.normalisers["eeg.cov"].update(plain(person(4))[0])
    assert np.array_equal(twin.normalise("eeg.cov", rows), before)
    assert not np.array_equal(extractor.normalise("eeg.cov", rows), before)
    assert twin.normalisers["eeg.cov"].n == extractor.normalisers["eeg.cov"].n - 1


def distances(x: Float32) -> Float32:
    apart = np.linalg.norm(x[:, None] - x[None], axis=-1)
    return np.asarray(apart[np.triu_indices(len(x), 1)])


def test_unknown_mixing_of_a_person_s_electrodes_cancels_out(prior: SpdPrior) -> None:
    """Distances between windows are those without it; those of plain vectors and of z-scored ones are not."""
    light, recording = replace(prior, weight=1.0), person(3, seconds=240)
    rng = np.random.default_rng(0)
    other = mixed(recording, (np.eye(4) + 0.4 * rng.normal(size=(4, 4))).astype(np.float32))
    rows, theirs = plain(recording), plain(other)

    def bent(mine: Float32, yours: Float32) -> float:
        return float(np.median(np.abs(distances(yours) / distances(mine) - 1)))

    recentred = bent(play(recording, light)[0].normalise("eeg.cov", rows), play(other, light)[0].normalise("eeg.cov", theirs))
    scored = [(x - x.mean(axis=0)) / x.std(axis=0) for x in (rows, theirs)]
    assert recentred < 0.02
    assert bent(rows, theirs) > 5 * recentred
    assert bent(*scored) > 5 * recentred


def test_only_log_covariances_are_recentred_and_only_unless_told_otherwise() -> None:
    x = np.concatenate([plain(person(seed, 40)) for seed in (1, 2)])
    subject = np.repeat(["p1", "p2"], len(x) // 2)
    told = fit_prior(VIEW, x, subject, {"recentre": False, "level": False})
    assert isinstance(told, Prior)
    assert not told.level
    assert isinstance(normaliser_of(told), Normaliser)
    assert isinstance(fit_prior(VIEW, x, subject, {"recentre": True, "level": False}), SpdPrior)
    de = views.eeg_de(channels=list(SITES))
    assert isinstance(fit_prior(de, x, subject, {"recentre": True}), Prior)


def test_marker_is_no_part_of_the_layout() -> None:
    assert VIEW.covariances == 2
    assert replace(VIEW, covariances=0).layout == VIEW.layout
    assert {v.covariances for v in (views.ecg_hrv(), views.eeg_de(channels=["Cz"]), views.ecg_raw())} == {0}
