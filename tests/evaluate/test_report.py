"""Reports: what is on the page, that it needs nothing but itself, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.cli import main
from streamaffect.errors import UsageError
from streamaffect.evaluate import people, trained
from streamaffect.evaluate.bundle_on import Settings
from streamaffect.evaluate.figures import figures
from streamaffect.evaluate.folds import UNADAPTED, Fold
from streamaffect.evaluate.played import Played, Truth
from streamaffect.evaluate.report import published, scalp
from streamaffect.evaluate.report.file import Evaluation, read
from streamaffect.evaluate.report.page import report
from streamaffect.evaluate.runs import Evaluated
from streamaffect.features import views

PEOPLE = ("person-1", "person-2", "person-3")
VOID = {"meta", "br", "hr", "link", "img", "input"}


class Page(HTMLParser):
    """What a page holds; fails where a tag is closed that is not the one open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated people left out in turn, with controls, as 'evaluate' writes it."""
    folder = tmp_path_factory.mktemp("report")
    words = ["evaluate", "loso", "simulated", "--subjects", ",".join(PEOPLE), "--view", "ecg.hrv:seconds=30", "--hop", "10"]
    words += ["--method", "coral", "--protocol", "transductive", "--controls", "--processes", "1", "--orders", "1"]
    assert main([*words, "--out", str(folder / "work"), "--json", str(folder / "found.json")]) == 0
    return folder / "found.json"


@pytest.fixture(scope="session")
def pages(written: Path) -> Path:
    """The folder of the page of it, and of its figures."""
    out = written.parent / "report.html"
    assert main(["report", str(written), "--out", str(out), "--png", str(written.parent / "png")]) == 0
    return out


@pytest.fixture(scope="session")
def found(written: Path) -> dict[str, Any]:
    return json.loads(written.read_text())


def of(values: dict[str, Any]) -> Page:
    return Page(report({"x.json": Evaluation.model_validate(values)}).page)


def test_page_is_whole_and_says_every_person_and_figure(pages: Path, found: dict[str, Any]) -> None:
    page = Page(pages.read_text("utf-8"))
    assert [name for name in PEOPLE if name not in page.text] == []
    drawn = [attrs["id"] for tag, attrs in page.tags if tag == "figure"]
    assert drawn == [f"e1-{name}" for name in ("people", "minutes", "confusion", "reliability", "selective")]
    assert f"{found['balanced_accuracy']['mean']:.3f}" in page.text
    for key in ("zscore", "source_only", "without_adaptation"):
        assert f"{found[key]['mean']:.3f} ± {found[key]['std']:.3f}" in page.text
    for control in found["controls"].values():
        assert control is True or control["what"] in page.text
    for test in found["tests"]:
        assert f"{test['q']:.4f}" in page.text
    assert "provisional" not in page.text
    assert "people adapted to, once each and without the guard 3" in page.text


def test_every_number_of_the_confusion_is_drawn(pages: Path, found: dict[str, Any]) -> None:
    svg = re.search(r'id="e1-confusion".*?</svg>', pages.read_text("utf-8"), re.DOTALL)
    assert svg is not None
    drawn = re.findall(r">([\d,]+%?)<", svg[0])
    shares = [[f"{count / sum(row):.0%}", f"{count:,}"] for row in found["confusion"] for count in row]
    assert sorted(drawn) == sorted(text for pair in shares for text in pair)


def test_page_needs_nothing_but_itself(pages: Path) -> None:
    text = pages.read_text("utf-8")
    page = Page(text)
    assert "://" not in text
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    targets = [attrs[key] or "" for _, attrs in page.tags for key in ("href", "xlink:href", "src") if key in attrs]
    assert all(target.startswith(("#", "data:")) for target in targets)
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(re.findall(r"--([\w-]+):", text))


def test_every_picture_is_told_in_words(pages: Path) -> None:
    page = Page(pages.read_text("utf-8"))
    told = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(told) == 5
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 40 for attrs in told)
    assert sum(tag == "figcaption" for tag, _ in page.tags) == 5


def test_each_figure_is_a_png_too(pages: Path) -> None:
    from matplotlib.image import imread

    files = sorted((pages.parent / "png").iterdir())
    assert len(files) == 5
    for file in files:
        pixels = imread(file)
        assert pixels.shape[1] == 960
        assert pixels.std() > 0.02


def test_names_from_a_file_do_no_harm(found: dict[str, Any]) -> None:
    evil = "<script>alert('&')</script>$x_1$"
    found = json.loads(json.dumps(found).replace("person-2", evil).replace("transductive --controls", evil))
    page = of(found)
    assert "script" not in {tag for tag, _ in page.tags}
    assert evil in page.text


def test_figures_without_controls_are_provisional(found: dict[str, Any]) -> None:
    page = of(found | {"controls": {"run": False}})
    assert "Controls not run: figures are provisional" in page.text


def test_people_of_the_training_are_told_first(found: dict[str, Any]) -> None:
    model = {"name": "m", "version": 2, "sha256": "0" * 64, "seen_in_training": ["person-1", "person-2"]}
    assert "2 of these people were in the model's training" in of(found | {"model": model, "kind": "bundle"}).text


def test_the_clock_is_told_where_it_does_as_well(found: dict[str, Any]) -> None:
    mean = found["balanced_accuracy"]["mean"]
    time = found["controls"]["time"] | {"mean": mean}
    assert "no less than the model" in of(found | {"controls": found["controls"] | {"time": time}}).text
    time |= {"mean": mean - 0.2}
    assert "no less than the model" not in of(found | {"controls": found["controls"] | {"time": time}}).text


def test_a_person_without_a_score_is_counted_not_drawn(found: dict[str, Any]) -> None:
    score = found["balanced_accuracy"]
    missing = score | {"per_subject": score["per_subject"] | {"person-2": None}}
    assert "Without a score, for want of two classes: 1." in of(found | {"balanced_accuracy": missing}).text


def test_several_evaluations_have_an_overview(found: dict[str, Any]) -> None:
    one = Evaluation.model_validate(found)
    page = Page(report({"a.json": one, "b.json": one.model_copy(update={"datasets": ["eegmat"]})}).page)
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert {"e1", "e2", "e1-people", "e2-people"} <= set(ids)
    assert {"#e1", "#e2"} <= {attrs["href"] for tag, attrs in page.tags if tag == "a"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"datasets": ["seed"], "classes": ["a", "b", "c"], "confusion": []},
            ["SDC-Net", "0.918 ± 0.060", "best of 200 epochs"],
        ),
        ({"datasets": ["seed"], "classes": ["a", "b"]}, ["2 classes here, 3 there"]),
        ({"datasets": ["wesad"], "protocol": "online"}, ["suspect", "ours is online, theirs split, with a few labels"]),
        ({"datasets": ["faced_de"], "kind": "transfer"}, ["ours comes from another set"]),
        ({"datasets": ["dreamer"]}, ["printed for WESAD too"]),
    ],
)
def test_papers_stand_beside_with_what_is_wrong_with_them(
    found: dict[str, Any], changes: dict[str, Any], says: list[str]
) -> None:
    text = of(found | changes).text
    assert [part for part in says if part not in text] == []


def test_no_paper_is_quoted_on_other_data(found: dict[str, Any]) -> None:
    assert "What papers print" not in of(found).text


def test_published_figures_are_shares_with_a_source() -> None:
    for one in published.FIGURES:
        assert 0 < one.value < (1 if one.classes else 2)
        assert one.classes is None or one.value > 1 / one.classes
        assert one.paper
        assert one.place.startswith("Table")
        assert one.caution


@pytest.fixture
def shares() -> Evaluated:
    """Two people who reported three distributions each; the model is sure of the first part."""
    told = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]], np.float32).repeat([2, 4, 6], axis=0)
    said = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (12, 1))
    trial = np.array(["a", "b", "c"]).repeat([2, 4, 6])
    truth = Truth(told.argmax(axis=1), trial, told)
    ends, silent = 40.0 * np.arange(1, 13), np.full(12, "", "<U8")
    played = Played("p1", ends, said, silent, truth, np.zeros(12, np.int64), np.ones(12, np.bool_))
    folds = [Fold(name, 0, {UNADAPTED: replace(played, subject=name), "mean_report": played}) for name in ("p1", "p2")]
    entries = tuple(ClassEntry(name=name) for name in ("calm", "glad", "sad"))
    recipe = Recipe("r", (views.make("ecg.hrv/1"),), entries, 5.0, target="panas")
    windows = Windows({"ecg.hrv": np.zeros((12, 6), np.float32)}, told.argmax(axis=1), np.full(12, "p1"), trial, ends, told)
    return Evaluated("loso", ("dmer",), recipe, None, None, Settings("transductive"), 1, tuple(folds), windows, {})


def test_distributions_are_shown_by_part_each_trial_alike(shares: Evaluated) -> None:
    result = figures(shares, "streamaffect evaluate")
    assert result["distribution"]["reported"] == pytest.approx({"calm": 0.3, "glad": 1.3 / 3, "sad": 0.8 / 3}, abs=1e-6)
    assert result["distribution"]["predicted"] == pytest.approx({"calm": 0.8, "glad": 0.1, "sad": 0.1}, abs=1e-6)
    page = of(json.loads(json.dumps(result)))
    drawn = [attrs["id"] for tag, attrs in page.tags if tag == "figure"]
    assert drawn == ["e1-people", "e1-minutes", "e1-distribution"]
    assert "They differ most in calm: 0.300 reported, 0.800 predicted." in page.text
    assert "3 parts here, ten emotions there" in page.text
    assert f"{result['canberra']['mean']:.3f}" in page.text


def test_the_site_that_tells_the_classes_apart_has_the_most_information() -> None:
    rng = np.random.default_rng(0)
    sites = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "O1", "O2"]
    view = views.eeg_de(channels=sites, seconds=5.0)
    recipe = Recipe("t", (view,), (ClassEntry(name="rest"), ClassEntry(name="load")), 5.0)
    y = np.arange(240) % 2
    subject = np.where(np.arange(240) < 120, "p1", "p2")
    x = rng.normal(size=(240, 40)) + 50 * (subject == "p2")[:, None]  # where a person stands says nothing
    x[:, view.features.index("O1.alpha")] -= 4 * y
    windows = Windows({view.key: x.astype(np.float32)}, y, subject, subject, np.arange(240.0))
    found = scalp.information(windows, recipe)
    assert found is not None
    assert found.bits.shape == (8, 5)
    assert np.unravel_index(found.bits.argmax(), found.bits.shape) == (sites.index("O1"), found.bands.index("alpha"))
    assert found.bits.max() > 0.8
    assert found.shuffled < 0.3
    drawn = scalp.picture(windows, recipe)
    assert drawn is not None
    assert drawn.caption.count("O1 alpha") == 1
    assert all(f">{band}<" in drawn.svg for band in found.bands)
    assert scalp.information(windows.take(y == 0), recipe) is None


@pytest.fixture(scope="session")
def taught(written: Path) -> Path:
    """A bundle fitted by coral on two of the people."""
    files = (people.load(written.parent / "work" / f"windows-simulated-{name}.npz") for name in PEOPLE[:2])
    windows = people.joined([found for found in files if isinstance(found, Windows)])
    entries = (ClassEntry(name="rest"), ClassEntry(name="load"))
    recipe = Recipe("taught", (views.make("ecg.hrv/1", seconds=30.0),), entries, 10.0, orders=1)
    learned, memory = trained.learn(windows, recipe, "coral", {}, 0)
    return trained.ship(written.parent / "taught", learned, memory, recipe, {}, {}).path


def test_recordings_give_the_pictures_that_only_they_can(written: Path, taught: Path, tmp_path: Path) -> None:
    out = tmp_path / "with.html"
    words = ["report", written, "--out", out, "--bundle", taught, "--data", "simulated", "--subject", "person-3"]
    assert main([*map(str, words), "--method", "coral"]) == 0
    page = Page(out.read_text("utf-8"))
    assert re.search(r"Windows of person-3 \(large\) among \d+ of the source people's", page.text)
    assert re.search(r"windows of 5 s of person-3, each person standardised. Most: \w+ \w+ [\d.]+", page.text)
    drawn = [attrs["id"] for tag, attrs in page.tags if tag == "figure"]
    assert drawn[-2:] == ["data-neighbours", "data-scalp"]
    assert "://" not in out.read_text("utf-8")


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``refused(*words)``: the one line that says why."""

    def call(*words: object, code: int = 2) -> str:
        capsys.readouterr()
        assert main(["report", *map(str, words)]) == code
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err

    return call


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"schema": "streamaffect.evalu', "cut short"),
        (
            '{"schema": "streamaffect.emotion/1"}',
            "schema is 'streamaffect.emotion/1', a report needs 'streamaffect.evaluation/1'",
        ),
        ("[]", "schema is 'None'"),
        ('{"schema": NaN}', "NaN is no number"),
        ("[" * 100_000, "cut short"),
        ('{"schema": "streamaffect.evaluation/1", "kind": "guess"}', "kind: Input should be 'bundle', 'loso' or 'transfer'"),
    ],
)
def test_what_is_no_evaluation_is_said_in_one_line(text: str, says: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "x.json").write_text(text)
    assert says in refused(tmp_path / "x.json", "--out", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_file_cut_short_anywhere_is_refused(written: Path, tmp_path: Path) -> None:
    whole = written.read_bytes().rstrip()
    for end in range(0, len(whole), len(whole) // 40):
        (tmp_path / "cut.json").write_bytes(whole[:end])
        with pytest.raises(UsageError, match="cut short"):
            read(tmp_path / "cut.json")


def test_a_confusion_of_other_classes_is_refused(found: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(found | {"classes": ["a", "b", "c"]}))
    with pytest.raises(UsageError, match="confusion is not 3 by 3"):
        read(tmp_path / "x.json")


def test_where_nothing_can_be_read_or_written_is_said(written: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "No such file" in refused(tmp_path / "none.json", "--out", tmp_path / "r.html")
    assert "not a file in a folder" in refused(written, "--out", tmp_path / "none" / "r.html")
    assert "not a file in a folder" in refused(written, "--out", tmp_path)
    (tmp_path / "file").write_text("")
    assert "File exists" in refused(written, "--out", tmp_path / "r.html", "--png", tmp_path / "file")


def test_flags_that_go_together_are_asked_for(written: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = ("--out", tmp_path / "r.html")
    assert "--bundle and --data go together" in refused(written, *out, "--bundle", "ecg-load")
    assert "--subject is about --bundle and --data" in refused(written, *out, "--subject", "person-1")
    data = ("--bundle", "ecg-load", "--data", "simulated")
    assert "simulated has person-1, person-2" in refused(written, *out, *data, "--subject", "nobody")
    assert "cannot go on from a model of" in refused(written, *out, *data, "--subject", "person-1", "--method", "coral", code=1)
    assert "coral" in refused(written, *out, *data, "--subject", "person-1", "--method", "corral")


def test_without_matplotlib_the_extra_is_named(
    written: Path, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without("matplotlib"), *sys.meta_path])
    assert "pip install 'streamaffect[report]'" in refused(written, "--out", tmp_path / "r.html")


class _Without(MetaPathFinder):
    """The world where a package was not installed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname.partition(".")[0] == self.name:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.mark.parametrize("width", [390, 1100])
def test_a_browser_shows_it_without_scrolling_sideways(pages: Path, tmp_path: Path, width: int) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here")
    from matplotlib.image import imread

    # The page has no script: it is measured in a frame, as wide as the screen.
    measure = "document.title = f.contentDocument.documentElement.scrollWidth"
    (tmp_path / "page.html").write_text(pages.read_text("utf-8"), "utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<body style='margin:0'><iframe id=f src=page.html width={width} height=3000 onload='{measure}' frameborder=0>",
        "utf-8",
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files"]
    command += [f"--user-data-dir={tmp_path}/user", "--virtual-time-budget=5000"]
    dom = subprocess.run([*command, "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=90).stdout
    assert f"<title>{width}</title>" in dom
    shot = tmp_path / "shot.png"
    size = f"--window-size={max(width, 500)},3000"
    subprocess.run([*command, size, f"--screenshot={shot}", frame.as_uri()], capture_output=True, timeout=90)
    pixels = imread(shot)[:, :width, :3]
    assert pixels.reshape(-1, 3).std(axis=0).min() > 0.05
    blue = np.abs(pixels - np.array([0, 0x72, 0xB2]) / 255).max(axis=2) < 0.02
    assert blue.sum() > 1000  # bars were drawn
