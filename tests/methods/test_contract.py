import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.methods import registry

X = np.zeros((4, 3), dtype=np.float32)
Y = np.array([0, 1, 0, 1])
S = np.array(["a", "a", "b", "b"])


def labelled(**changes) -> methods.LabelledSet:
    return methods.LabelledSet(**{"x": {"v": X}, "y": Y, "subject": S, "trial": np.arange(4), **changes})


def test_set_keeps_views_as_float32_and_knows_its_classes():
    made = labelled(x={"v": X.astype(np.float64)}, subject=np.array(["a", "a", "b", "b"], dtype=object))
    assert made.x["v"].dtype == np.float32
    assert (made.classes, len(made), made.shapes) == (2, 4, {"v": (3,)})
    assert made.subject.dtype.kind == "U"
    assert made.take(Y == 1).y.tolist() == [1, 1]


def test_labels_become_distributions_of_the_wanted_width():
    assert labelled().distribution(3).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]]
    soft = labelled(y=np.full((4, 2), 0.5))
    assert soft.distribution(2).tolist() == [[0.5, 0.5]] * 4
    with pytest.raises(ValueError, match="y has 2 classes, the model 1"):
        labelled().distribution(1)


def test_windows_without_trials_are_trials_of_their_own():
    assert labelled(trial=None).trial.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": {}}, "x must map view names to arrays"),
        ({"x": X}, "x must map view names to arrays"),
        ({"x": {"v": X[:, 0]}}, r"x\['v'\] must be \(n, k\) or \(n, channels, T\)"),
        ({"x": {"v": X[:0]}}, "not empty"),
        ({"x": {"v": X, "w": X[:3]}}, "views differ in their number of windows: {'v': 4, 'w': 3}"),
        ({"x": {"v": np.where(np.eye(4, 3) > 0, np.nan, X)}}, r"x\['v'\] has NaN or infinity in 3 windows, first 0"),
        ({"x": {"v": np.full((4, 3), 1e300)}}, "infinity in 4 windows"),
        ({"y": Y[:3]}, "y has shape"),
        ({"y": Y - 1}, "indices from 0 on, got -1"),
        ({"y": np.array(["rest", "load", "rest", "load"])}, "class indices or"),
        ({"y": Y.astype(float)}, "class indices or"),
        ({"y": np.ones((4, 2))}, "summing to 1"),
        ({"y": np.full((4, 2), np.nan)}, "finite"),
        ({"subject": S[:2]}, "subject must be one id a window"),
        ({"trial": np.array([0, 1, np.nan, 2])}, "trial has NaN"),
    ],
)
def test_bad_sets_are_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        labelled(**changes)
    assert "\n" not in str(error.value)


def test_unlabelled_set_has_no_place_for_labels():
    assert set(methods.UnlabelledSet.__slots__) == {"x", "trial"}
    with pytest.raises(ValueError, match="trial must be one id a window"):
        methods.UnlabelledSet({"v": X}, trial=np.arange(3))


def test_names_are_sorted_and_complete():
    assert {"dynamic", "source"} <= set(methods.names())
    assert methods.names() == sorted(methods.names())


def test_unknown_method_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown method 'dinamic': there are .*dynamic.*source"):
        methods.get("dinamic")


def test_unknown_parameter_lists_the_known():
    with pytest.raises(ValueError, match=r"method 'dynamic' has no parameter 'taw': it takes .*schedule.*tau"):
        methods.get("dynamic", taw=0.9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weight_decay": 1e5}, r"weight_decay must lie in \[0, 1\], got 100000"),
        ({"epochs": 0}, "epochs must be an integer from 1 on"),
        ({"epochs": 2.5}, "epochs must be an integer"),
        ({"lr": float("nan")}, "lr must be positive"),
        ({"tau": 1.5}, "tau must lie in"),
        ({"normalise": "trial"}, "normalise must be"),
        ({"schedule": "linear"}, "schedule must be"),
        ({"kernel": "rbf"}, "kernel must be"),
        ({"prior": "uniform"}, "prior must be"),
        ({"prior": [0.9, 0.3]}, "prior must be"),
        ({"patience": "10"}, "patience must be an integer"),
        ({"sigma": "wide"}, "sigma must be"),
        ({"epochs": True}, "epochs must be an integer"),
        ({"gamma": True}, "gamma must lie in"),
        ({"lr": True}, "lr must be positive"),
        ({"prior": {"rest": 1}}, "prior must be"),
        ({"prior": ["much", "little"]}, "prior must be"),
    ],
)
def test_parameters_out_of_range_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        methods.get("dynamic", **params)


def test_methods_of_other_packages_are_found(monkeypatch):
    point = EntryPoint("elsewhere", "streamaffect.methods.source:Source", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda **filters: EntryPoints([point]).select(**filters))
    assert "elsewhere" in methods.names()
    assert methods.get("elsewhere", epochs=3).epochs == 3


def test_face_and_parameters_need_numpy_alone():
    script = (
        "import sys; from streamaffect import methods; methods.get('dynamic', tau=.8); methods.names();"
        "import numpy as np; methods.coreset.select(np.eye(99)); methods.fit_temperature(np.full((2, 2), .5), [0, 1]);"
        "heavy = {'torch', 'scipy', 'sklearn', 'ot', 'onnx', 'pandas'} & set(sys.modules);"
        "ours = {m for m in sys.modules if m.startswith('streamaffect.') and not m.startswith('streamaffect.methods')};"
        "assert not heavy and not ours, (heavy, ours)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_learning_modules_import_nothing_else_of_the_project():
    script = (
        "import sys; import streamaffect.methods.alignment, streamaffect.methods.export;"
        "ours = {m for m in sys.modules if m.startswith('streamaffect.') and not m.startswith('streamaffect.methods')};"
        "assert not ours, ours"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
