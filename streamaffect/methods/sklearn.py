"""Every method as a scikit-learn classifier, in skada's convention of domains. scikit-learn; torch when fitted.

    DAClassifier("m3d").fit(X, y, sample_domain=s).predict(X_target)

``sample_domain`` s > 0 are source people, s < 0 target people. Labels of target rows are never read, whatever they hold:
skada's masks, NaN or the truth.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .contract import LabelledSet, Model, UnlabelledSet
from .registry import get

Array = npt.NDArray[Any]

VIEW = "x"
_NESTED = "params__"


class DAClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A method of :func:`streamaffect.methods.names`, on one view of vectors ``X`` (n, k).

    ``params``: the method's parameters, as a dict; single ones can be set and searched as ``params__NAME``.
    ``random_state``, ``device``, ``budget_s`` as for the methods (a budget is for each target person).

    Fitted: ``classes_``; ``source_model_``, of the source people alone; ``models_``, target domain -> adapted model, empty
    where no target was given. Rows are told by the model of their own domain: those of a target domain by its adapted
    model, all others by the source's. Without ``sample_domain``, ``predict`` is for the target person, if there was one.
    """

    __metadata_request__fit = {"sample_domain": True, "trial": True}  # noqa: RUF012 - as scikit-learn reads it
    __metadata_request__predict = {"sample_domain": True}  # noqa: RUF012
    __metadata_request__predict_proba = {"sample_domain": True}  # noqa: RUF012
    __metadata_request__score = {"sample_domain": True}  # noqa: RUF012

    def __init__(
        self,
        method: str = "dynamic",
        params: dict[str, Any] | None = None,
        random_state: Any = 0,
        device: str = "auto",
        budget_s: float | None = None,
    ) -> None:
        self.method = method
        self.params = params
        self.random_state = random_state
        self.device = device
        self.budget_s = budget_s

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_domain: npt.ArrayLike | None = None, trial: npt.ArrayLike | None = None
    ) -> Self:
        """Fit on the rows of source people; adapt to each target person among the domains.

        ``trial`` (n,) ids within a person: windows of one stretch of time, in order. Without ``sample_domain`` all rows are
        one source person's. ValueError where no row is a source person's.
        """
        rows = validate_data(self, X, dtype=np.float32)
        if y is None:
            raise ValueError("fit requires y to be passed, but the target y is None: give labels of the source rows")
        labels = column_or_1d(y, warn=True)
        check_consistent_length(rows, labels)
        domain = _domains(sample_domain, len(rows), missing=1)
        source = domain > 0
        if not source.any():
            raise ValueError("no row has sample_domain > 0: fit needs the labelled rows of source people")
        told = np.array(labels[source].tolist())  # an array of objects, as masked labels may need, as what it holds
        assert_all_finite(told, input_name="y")
        check_classification_targets(told)
        self.classes_, y_source = np.unique(told, return_inverse=True)
        stretch = None if trial is None else np.asarray(trial)
        known = LabelledSet({VIEW: rows[source]}, y_source, domain[source], None if stretch is None else stretch[source])
        method, seed = get(self.method, **(self.params or {})), self._seed()
        self.source_model_ = method.fit_source(known, seed=seed, device=self.device)
        self.models_: dict[int, Model] = {}
        for person in np.unique(domain[~source]):
            own = domain == person
            target = UnlabelledSet({VIEW: rows[own]}, None if stretch is None else stretch[own])
            self.models_[int(person)] = method.adapt(
                self.source_model_, known, target, seed=seed, device=self.device, budget_s=self.budget_s
            )
        return self

    def predict_proba(self, X: npt.ArrayLike, sample_domain: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """(n, C) in the order of ``classes_``."""
        rows, models = self._models(X, sample_domain)
        p = np.empty((len(rows), len(self.classes_)))
        for model, own in models:
            p[own] = model.predict_proba({VIEW: rows[own]})
        p /= p.sum(axis=1, keepdims=True)
        return p

    def predict(self, X: npt.ArrayLike, sample_domain: npt.ArrayLike | None = None) -> Array:
        """(n,) of ``classes_``."""
        said = self.predict_proba(X, sample_domain).argmax(axis=1)
        labels: Array = self.classes_[said]
        return labels

    def embed(self, X: npt.ArrayLike, sample_domain: npt.ArrayLike | None = None) -> npt.NDArray[np.float32]:
        """(n, d) the representation that alignment works on; of each row by the model of its domain."""
        rows, models = self._models(X, sample_domain)
        parts = [(own, model.embed({VIEW: rows[own]})) for model, own in models]
        embedding = np.empty((len(rows), parts[0][1].shape[1]), dtype=np.float32)
        for own, part in parts:
            embedding[own] = part
        return embedding

    def score(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        sample_domain: npt.ArrayLike | None = None,
    ) -> float:
        """Accuracy of :meth:`predict`."""
        return float(accuracy_score(y, self.predict(X, sample_domain), sample_weight=sample_weight))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        own: dict[str, Any] = super().get_params(deep=deep)
        if deep and isinstance(self.params, dict):
            own |= {_NESTED + name: value for name, value in self.params.items()}
        return own

    def set_params(self, **params: Any) -> Self:
        nested = {key.removeprefix(_NESTED): params.pop(key) for key in list(params) if key.startswith(_NESTED)}
        super().set_params(**params)
        if nested:
            self.params = {**(self.params or {}), **nested}
        return self

    def _models(self, X: npt.ArrayLike, sample_domain: npt.ArrayLike | None) -> tuple[Array, list[tuple[Model, Array]]]:
        """The rows, and each model with the mask of the rows it is for."""
        check_is_fitted(self, "source_model_")
        rows = validate_data(self, X, dtype=np.float32, reset=False)
        if sample_domain is None and len(self.models_) > 1:
            raise ValueError(f"fitted for the target people {sorted(self.models_)}: say whose rows these are by sample_domain")
        domain = _domains(sample_domain, len(rows), missing=min(self.models_, default=1))
        everyone = {int(person): self._model(int(person)) for person in np.unique(domain)}
        return rows, [(model, domain == person) for person, model in everyone.items()]

    def _model(self, person: int) -> Model:
        if person > 0 or not self.models_:
            return self.source_model_
        if person not in self.models_:
            raise ValueError(f"sample_domain {person} is a target person that fit has not seen: it saw {sorted(self.models_)}")
        return self.models_[person]

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))


def _domains(sample_domain: npt.ArrayLike | None, n: int, missing: int) -> npt.NDArray[np.int64]:
    if sample_domain is None:
        return np.full(n, missing, dtype=np.int64)
    domain = np.asarray(sample_domain)
    if domain.shape != (n,) or domain.dtype.kind not in "iu" or (domain == 0).any():
        raise ValueError(
            f"sample_domain must be ({n},) integers, > 0 for source and < 0 for target people, "
            f"got {domain.dtype} of shape {domain.shape}" + (" with zeros" if (domain == 0).any() else "")
        )
    return domain.astype(np.int64)
