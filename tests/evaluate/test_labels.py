"""Classes by name, as told, and as a bundle was trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from streamaffect.bundle.bundle import Bundle
from streamaffect.errors import UsageError
from streamaffect.evaluate.labels import ClassMap, check
from streamaffect.signals import Recording, Trial


@dataclass
class Model:
    """What :meth:`ClassMap.of` looks at."""

    bundle: Bundle

    def __call__(self, provenance: dict[str, Any]) -> Bundle:
        return replace(self.bundle, manifest=self.bundle.manifest.model_copy(update={"provenance": provenance}))


WESAD = Recording(
    "wesad", "S2", (), tuple(Trial(name, name, i, i + 1) for i, name in enumerate(("baseline", "stress", "amusement", "rest")))
)


def labels(recording: Recording) -> list[str | None]:
    return [trial.label for trial in recording.trials]


def test_labels_become_classes_and_others_go() -> None:
    told = ClassMap.parse("stress=stress,rest=baseline+amusement")
    assert told.classes == ("stress", "rest")
    assert labels(told.apply(WESAD)) == ["rest", "stress", "rest", None]
    assert labels(ClassMap.parse("baseline,stress").apply(WESAD)) == ["baseline", "stress", None, None]


def test_a_bundle_knows_what_it_was_trained_on_unless_told(shipped: Bundle) -> None:
    model = Model(shipped)
    assert labels(ClassMap.of(model({})).apply(WESAD)) == [None, None, None, "rest"]
    trained = model({"classes": {"rest": ["baseline", "amusement"]}})
    assert labels(ClassMap.of(trained).apply(WESAD)) == ["rest", None, "rest", None]
    told = ClassMap.of(trained, ClassMap.parse("load=stress,rest=rest"))
    assert told.classes == shipped.classes
    assert labels(told.apply(WESAD)) == [None, "load", None, "rest"]
    with pytest.raises(UsageError, match="ecg-load has no class 'joy': it has rest, load"):
        ClassMap.of(model({}), ClassMap.parse("joy,rest"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "takes a,b,c"),
        ("a,a", "takes a,b,c"),
        ("Stress,rest", "'Stress'"),
        ("only=a+b", "two classes are the least"),
        ("a=x,b=x", "label 'x' is taken for two classes"),
    ],
)
def test_what_is_no_mapping_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ClassMap.parse(text)


def test_without_a_common_class_both_sides_are_listed() -> None:
    check(ClassMap.by_name(["rest", "load"]), [WESAD], "label", "wesad")
    with pytest.raises(UsageError, match=r"the model tells calm, tense \(fear\+anger\), wesad is labelled baseline, stress"):
        check(ClassMap.parse("calm,tense=fear+anger"), [WESAD], "label", "wesad")
    with pytest.raises(UsageError, match="the model tells panas"):
        check(ClassMap.by_name(["glad"]), [WESAD], "panas", "wesad")
