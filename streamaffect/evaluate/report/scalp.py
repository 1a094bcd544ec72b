"""Where on the scalp, and in which band, the classes are told apart: mutual information of features and class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import LABEL, Bundle
from streamaffect.evaluate.baselines import each
from streamaffect.evaluate.report.svg import Plot, plot
from streamaffect.signals import Float64, Modality, Recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EEG_HOP_S = 5.0
_MONTAGES = ("colin27_1020", "standard_1020")  # the first is the name since MNE 1.13
_SITES = 8  # fewer make no map


@dataclass(frozen=True, slots=True, eq=False)
class Scalp:
    """Mutual information ``bits`` (sites, bands) between a feature and the class; ``shuffled`` the largest of the same with the
    classes of each person's windows shuffled."""

    sites: tuple[str, ...]
    bands: tuple[str, ...]
    bits: Float64
    shuffled: float
    windows: int
    people: tuple[str, ...]


def information(windows: Windows, recipe: Recipe) -> Scalp | None:
    """Of windows as ``recipe`` makes them; None where they are of one class."""
    windows, view = windows.take(windows.y >= 0), recipe.views[0]
    if np.unique(windows.y).size < 2:
        return None
    z = each(windows.plain[view.key].astype(np.float64), windows.subject)
    names = [name.rpartition(".") for name in view.features]
    sites, bands = (tuple(dict.fromkeys(name[side] for name in names)) for side in (0, 2))
    bits = _bits(z, windows.y)
    chance = _bits(z, _shuffled(windows.y, windows.subject))
    who = tuple(dict.fromkeys(windows.subject.tolist()))
    return Scalp(sites, bands, bits.reshape(len(sites), len(bands)), float(chance.max()), len(windows), who)


def recipe_for(model: Bundle, recording: Recording) -> Recipe | None:
    """A recipe of differential entropy of the sites that have a place on the head; None where those are too few, or where
    labels are distributions."""
    from streamaffect.features import views

    channels = next((s.spec.channels for s in recording.signals if s.spec.modality is Modality.EEG), ())
    if not channels or model.manifest.target != LABEL:
        return None
    places = {name.lower() for name in _montage().ch_names}
    sites = [name for name in channels if name.lower() in places]
    if len(sites) < _SITES:
        return None
    view = views.eeg_de(channels=sites, seconds=EEG_HOP_S)
    return Recipe("topography", (view,), tuple(model.manifest.classes), EEG_HOP_S)


def _montage() -> Any:
    """The 10-20 system and its finer grids, with the old names T3 to T6 too."""
    import mne

    name = next(name for name in _MONTAGES if name in mne.channels.get_builtin_montages())
    return mne.channels.make_standard_montage(name)


def _bits(z: Float64, y: npt.NDArray[np.int64]) -> Float64:
    """Kraskov's estimate by nearest neighbours (Ross, PLoS ONE 2014), per feature."""
    from sklearn.feature_selection import mutual_info_classif

    nats: Float64 = mutual_info_classif(z, y, discrete_features=False, random_state=0)
    return np.asarray(nats / np.log(2), np.float64)


def _shuffled(y: npt.NDArray[np.int64], subject: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    rng, out = np.random.default_rng(0), y.copy()
    for name in np.unique(subject):
        out[subject == name] = rng.permutation(y[subject == name])
    return out


def picture(windows: Windows, recipe: Recipe) -> Plot | None:
    """A head a band; None as :func:`information`."""
    found = information(windows, recipe)
    if found is None:
        return None
    best = np.unravel_index(np.argsort(-found.bits, axis=None)[:3], found.bits.shape)
    told = ", ".join(f"{found.sites[i]} {found.bands[j]} {found.bits[i, j]:.3f}" for i, j in zip(*best, strict=True))
    whose = found.people[0] if len(found.people) == 1 else f"{len(found.people)} people"
    says = "Mutual information, in bits, between the class and the differential entropy of each site and band, "
    says += f"{found.windows:,} windows of {EEG_HOP_S:g} s of {whose}, each person standardised. Most: {told}. With each "
    says += f"person's classes shuffled the largest is {found.shuffled:.3f}. Muscle tells as well as brain does, most of all "
    says += "in gamma at the rim."
    return plot("data-scalp", "Where the classes are told apart", says, lambda figure: _heads(figure, found), 4.5)


def _heads(figure: Figure, found: Scalp) -> None:
    import mne
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    info = mne.create_info(list(found.sites), 100.0, "eeg", verbose="ERROR")
    info.set_montage(_montage(), match_case=False, verbose="ERROR")
    top = max(float(found.bits.max()), 1e-3)
    cells = figure.subplots(2, 3).ravel()
    for axes, band, column in zip(cells, found.bands, found.bits.T, strict=False):
        mne.viz.plot_topomap(column, info, axes=axes, show=False, vlim=(0, top), cmap="cividis", contours=0, size=2)
        axes.set_title(band)
    for axes in cells[len(found.bands) :]:
        axes.set_axis_off()
    scale = ScalarMappable(Normalize(0, top), "cividis")
    bar = figure.colorbar(scale, ax=list(cells), location="bottom", shrink=0.5, aspect=28, pad=0.04)
    bar.set_label("bits")
