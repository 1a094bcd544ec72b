"""EEG beyond the entropy of its bands: asymmetry, relative power, covariance, in signals of known content."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from streamaffect.features import asymmetry, covariance, spd, views
from streamaffect.signals import Modality, StreamSpec, Window

SITES = ("F3", "F4", "P3", "P4", "Cz")
EEG = StreamSpec("eeg", Modality.EEG, SITES, 128.0, "uV")


def window(x: npt.NDArray[np.float64], spec: StreamSpec = EEG) -> Window:
    samples = x.astype(np.float32)
    return Window(spec, 0.0, samples.shape[1] / spec.rate, samples, samples, np.isfinite(samples).all(axis=0))


def noise(seconds: float = 8.0, seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 5, (len(SITES), round(seconds * 128)))


def test_pairs_and_areas_are_those_of_the_10_20_system() -> None:
    sites = ("Fp1", "FP2", "AF7", "AF8", "Fz", "FC5", "FC6", "T7", "P3", "O1", "O2", "A2", "EEG 1", "Pz")
    assert asymmetry.pairs(sites) == [("AF7", "AF8"), ("FC5", "FC6"), ("O1", "O2")]
    front, back = asymmetry.areas(sites)
    assert [sites[i] for i in front] == ["Fp1", "FP2", "AF7", "AF8", "Fz"]
    assert [sites[i] for i in back] == ["P3", "Pz"]
    assert asymmetry.pairs(("P9", "P10", "F1")) == [("P9", "P10")]


def test_asymmetry_is_the_ratio_of_left_to_right() -> None:
    x = noise()
    x[0] = 2 * x[1]  # F3 is twice F4
    view = views.make("eeg.asym/1", channels=list(SITES), reference="none", seconds=8.0)
    found = dict(zip(view.features, view(window(x)).tolist(), strict=True))
    for band in ("delta", "theta", "alpha", "beta", "gamma"):
        assert found[f"F3-F4.{band}"] == pytest.approx(np.log(2), abs=1e-4)
    assert abs(found["P3-P4.beta"]) < 0.3


def test_gain_of_the_amplifier_is_no_asymmetry_and_no_band() -> None:
    x = noise()
    for name in ("eeg.asym/1", "eeg.relpower/1"):
        view = views.make(name, channels=list(SITES))
        assert np.allclose(view(window(x)), view(window(30 * x)), atol=1e-4)


def test_front_against_back_rises_with_frontal_theta_and_falls_with_parietal_alpha() -> None:
    t = np.arange(1024) / 128
    x = noise()
    view = views.make("eeg.asym/1", channels=list(SITES), reference="none", seconds=8.0)
    plain = view(window(x))[-1]
    theta, alpha = x.copy(), x.copy()
    theta[:2] += 15 * np.sin(2 * np.pi * 6 * t)
    alpha[2:4] += 15 * np.sin(2 * np.pi * 10 * t)
    assert view.features[-1] == "frontal_theta-parietal_alpha"
    assert view(window(theta))[-1] > plain + 0.5
    assert view(window(alpha))[-1] < plain - 0.5


def test_no_pair_no_asymmetry_and_no_back_no_ratio() -> None:
    with pytest.raises(ValueError, match="F3, F4"):
        views.make("eeg.asym/1", channels=["Cz", "F3"])
    assert len(views.make("eeg.asym/1", channels=["F3", "F4"]).features) == 5


def test_shares_of_the_bands_sum_to_one_and_follow_the_wave() -> None:
    x = noise()
    x[4] += 40 * np.sin(2 * np.pi * 10 * np.arange(1024) / 128)
    shares = np.exp(views.make("eeg.relpower/1", channels=list(SITES))(window(x)).reshape(5, 5))
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert shares[4].argmax() == 2
    assert shares[4, 2] > 0.8


def test_covariance_is_that_of_the_channels() -> None:
    mixing = np.asarray([[1.0, 0, 0, 0, 0], [0.5, 1, 0, 0, 0], [0, 0, 2, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0.5]])
    x = mixing @ noise(200)
    [found] = covariance.covariances(window(x), SITES, ("all",), 1e-6, "none")
    expected = 25 * mixing @ mixing.T * 45 / 64  # 1 to 45 of 64 Hz
    assert np.allclose(found, expected, atol=1.5)
    [shrunk] = covariance.covariances(window(x), SITES, ("all",), 0.2, "none")
    assert np.allclose(shrunk, 0.8 * found + 0.2 * np.trace(found) / 5 * np.eye(5), rtol=1e-4)


def test_covariance_of_a_band_sees_that_band_alone() -> None:
    t = np.arange(1024) / 128
    x = 0.1 * noise()
    x += np.outer([1, 1, 0, 0, 0], 10 * np.sin(2 * np.pi * 10 * t)) + np.outer(
        [0, 0, 1, -1, 0], 10 * np.sin(2 * np.pi * 20 * t)
    )
    alpha, beta = covariance.covariances(window(x), SITES, ("alpha", "beta"), 1e-3, "none")
    assert alpha[0, 1] == pytest.approx(50, rel=0.1)
    assert abs(alpha[2, 3]) < 1
    assert beta[2, 3] == pytest.approx(-50, rel=0.1)
    assert abs(beta[0, 1]) < 1


def test_vector_is_the_logarithm_s_triangle() -> None:
    view = views.make("eeg.cov/1", channels=list(SITES), bands=["alpha", "beta"])
    assert view.shape == (30,)
    assert view.features[:2] == ("F3-F3.alpha", "F3-F4.alpha")
    vector = view(window(noise())).reshape(2, 15)
    direct = covariance.covariances(window(noise()), SITES, ("alpha", "beta"), 0.05, "average")
    assert np.allclose(spd.expm(spd.to_matrix(vector.astype(np.float64))), direct, rtol=1e-3, atol=1e-4)


def test_seconds_with_a_hole_are_left_out() -> None:
    x = noise()
    holed = x.copy()
    holed[:, 20:40] = np.nan
    view = views.make("eeg.cov/1", channels=list(SITES))
    assert np.array_equal(view(window(holed)), view(window(x[:, 64:])))


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("eeg.cov/1", {"bands": ["mu"]}, "bands must be among all, delta"),
        ("eeg.cov/1", {"bands": []}, "bands"),
        ("eeg.cov/1", {"shrink": 0.0}, "shrink"),
        ("eeg.cov/1", {"reference": "mastoid"}, "reference"),
        ("eeg.asym/1", {"reference": "mastoid"}, "reference"),
        ("eeg.relpower/1", {"reference": "mastoid"}, "reference"),
    ],
)
def test_parameter_that_cannot_be_is_named(name: str, params: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        views.make(name, channels=list(SITES), **params)
