"""The scikit-learn face: the estimator's contract, skada's convention of domains, and no look at target labels."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from streamaffect import methods
from streamaffect.methods.sklearn import DAClassifier


def face(**changes) -> DAClassifier:
    return DAClassifier(**{"method": "zscore", "device": "cpu", **changes})


@parametrize_with_checks([face()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def problem(lab):
    """X, y and domains: five source people, and two target people far from them."""
    source, near, far = (
        lab.people(seed, n, 40, shift) for seed, n, shift in [(0, 5, 0.0), (1, 1, lab.shift), (2, 1, -lab.shift)]
    )
    X = np.concatenate([part["x"]["vector"] for part in (source, near, far)])
    y = np.concatenate([part["y"] for part in (source, near, far)])
    return X, y, np.r_[source["subject"] + 1, np.full(40, -6), np.full(40, -7)]


def test_every_target_person_gets_a_model_of_their_own(problem):
    X, y, domain = problem
    adapted = face().fit(X, y, sample_domain=domain)
    assert sorted(adapted.models_) == [-7, -6]
    of_source = adapted.source_model_.predict_proba({"x": X[domain < 0]}).argmax(axis=1)
    assert (of_source == y[domain < 0]).mean() < 0.8
    assert adapted.score(X[domain < 0], y[domain < 0], sample_domain=domain[domain < 0]) > 0.9
    one = adapted.models_[-7].predict_proba({"x": X[domain == -7]})
    np.testing.assert_allclose(adapted.predict_proba(X, domain)[domain == -7], one, atol=1e-6)
    np.testing.assert_allclose(adapted.embed(X, domain)[domain == -7], adapted.models_[-7].embed({"x": X[domain == -7]}))


def test_it_is_the_method_itself(problem):
    X, y, domain = problem
    ours = face(method="coral", params={"ridge": 0.5}, random_state=3).fit(X[domain > -7], y[domain > -7], domain[domain > -7])
    source, own = domain > 0, domain == -6
    method = methods.get("coral", ridge=0.5)
    known = methods.LabelledSet({"x": X[source]}, y[source], domain[source])
    target = methods.UnlabelledSet({"x": X[own]})
    theirs = method.adapt(method.fit_source(known, seed=3, device="cpu"), known, target, seed=3, device="cpu")
    np.testing.assert_allclose(ours.predict_proba(X[own]), theirs.predict_proba({"x": X[own]}), atol=1e-6)


@pytest.mark.parametrize("mask", [-1, 0, 99, np.nan, None])
def test_target_labels_are_never_read(problem, mask):
    X, y, domain = problem
    masked = y.astype(float if mask is not None else object)
    masked[domain < 0] = mask
    honest, blind = (face().fit(X, labels, sample_domain=domain) for labels in (y, masked))
    assert blind.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(blind.predict_proba(X, domain), honest.predict_proba(X, domain))


def test_labels_of_any_type_come_back(problem):
    X, y, domain = problem
    names = np.array(["rest", "load"], dtype=object)[y]
    named = face().fit(X, names, sample_domain=domain)
    assert named.classes_.tolist() == ["load", "rest"]
    assert (named.predict(X, domain) == names).mean() > 0.9


def test_without_domains_it_is_a_plain_classifier(problem):
    X, y, domain = problem
    plain = face().fit(X[domain > 0], y[domain > 0])
    assert plain.models_ == {}
    assert plain.score(X[domain > 0], y[domain > 0]) > 0.9


def test_of_one_target_person_no_domain_need_be_named(problem):
    X, y, domain = problem
    one = domain > -7
    adapted = face().fit(X[one], y[one], sample_domain=domain[one])
    own = X[domain == -6]
    np.testing.assert_array_equal(adapted.predict_proba(own), adapted.predict_proba(own, np.full(len(own), -6)))


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (lambda d: -np.abs(d), "no row has sample_domain > 0"),
        (lambda d: np.where(d == 1, 0, d), "with zeros"),
        (lambda d: d[:-1], "sample_domain must be"),
        (lambda d: d.astype(float), "integers"),
    ],
)
def test_bad_domains_are_refused(problem, domain, message):
    X, y, s = problem
    with pytest.raises(ValueError, match=message):
        face().fit(X, y, sample_domain=domain(s))


def test_who_is_meant_must_be_said_and_known(problem):
    X, y, domain = problem
    adapted = face().fit(X, y, sample_domain=domain)
    with pytest.raises(ValueError, match=r"target people \[-7, -6\]"):
        adapted.predict(X)
    with pytest.raises(ValueError, match="-9 is a target person that fit has not seen"):
        adapted.predict(X, np.full(len(X), -9))
    with pytest.raises(NotFittedError):
        face().predict(X)


def test_parameters_are_cloned_set_and_pickled(problem):
    X, y, domain = problem
    made = face(params={"C": 0.5}).set_params(params__prior="estimate", random_state=4)
    twin = clone(made)
    assert twin.get_params() == made.get_params()
    assert twin.get_params()["params__C"] == 0.5
    assert made.params == {"C": 0.5, "prior": "estimate"}
    fitted = twin.fit(X, y, sample_domain=domain)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X, domain), fitted.predict_proba(X, domain))
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        face(params={"depth": 3}).fit(X, y)
    with pytest.raises(ValueError, match="unknown method 'm4d'"):
        face(method="m4d").fit(X, y)


def test_in_a_pipeline_domains_are_routed(problem):
    X, y, domain = problem
    one = domain > -7
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), face()).fit(X[one], y[one], sample_domain=domain[one])
        assert pipe.score(X[domain == -6], y[domain == -6]) > 0.9
        assert sorted(pipe[-1].models_) == [-6]


def test_its_parameters_are_searched(problem):
    X, y, domain = problem
    people = domain > 0
    with config_context(enable_metadata_routing=True):
        grid = GridSearchCV(face(params={}), {"params__C": [1e-9, 1.0]}, cv=GroupKFold(3))
        grid.fit(X[people], y[people], sample_domain=domain[people], groups=domain[people])
    assert grid.best_params_ == {"params__C": 1.0}


def test_trials_reach_the_method(problem):
    X, y, domain = problem
    trial = np.arange(len(X)) // 10
    one = domain > -7
    made = face(params={"self_training": True}).fit(X[one], y[one], domain[one], trial=trial[one])
    assert made.score(X[domain == -6], y[domain == -6]) > 0.9


@pytest.mark.parametrize("splitter", ["SourceTargetShuffleSplit", "DomainShuffleSplit", "StratifiedDomainShuffleSplit"])
def test_in_skadas_splitters_and_pipelines(skada, problem, splitter):
    X, y, domain = problem
    one = domain > -7
    split = getattr(skada.model_selection, splitter)(n_splits=2, random_state=0)
    for model in (face(), skada.make_da_pipeline(StandardScaler(), face())):
        told = cross_validate(
            model, X[one], y[one].copy(), cv=split, params={"sample_domain": domain[one]}, error_score="raise"
        )
        assert told["test_score"].min() > 0.75


def test_skadas_leave_one_domain_out(skada, problem):
    """Each person is packed twice, as a source and as a target; the splitter takes one of the two."""
    X, y, domain = problem
    people = domain > 0
    X, y, domain = np.tile(X[people], (2, 1)), np.tile(y[people], 2), np.r_[domain[people], -domain[people]]
    split = skada.model_selection.LeaveOneDomainOut(max_n_splits=3, random_state=0)
    told = cross_validate(face(), X, y, cv=split, params={"sample_domain": domain}, error_score="raise")
    assert told["test_score"].min() > 0.75
