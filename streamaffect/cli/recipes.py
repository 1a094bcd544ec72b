"""What a model reads and how it is normalised, as the words of ``train`` and ``evaluate`` say it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamaffect.features.views import View
    from streamaffect.signals import Recording

PRIOR_OPTIONS = ("location_weight", "scale_weight", "level", "middle", "extremes", "inertia", "recentre")
HOP_S = {"ecg": 5.0, "eda": 5.0, "eeg": 2.0, "ppg": 5.0}
EEG_SECONDS = 10.0  # four seconds of band power are noisier, twenty make the wearer wait (compare with --view)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """The words that say what is read."""
    parser.add_argument("--view", action="append", metavar="NAME[:K=V,..]", help="view to read, such as ecg.hrv:seconds=30")
    about = f"or the usual views of signals, of {', '.join(HOP_S)}; may be repeated (default: ecg)"
    parser.add_argument("--modality", action="append", metavar="M[,M..]", help=about)
    parser.add_argument("--hop", type=float, metavar="S", help="seconds between decisions (default: 5, 2 for eeg alone)")
    parser.add_argument("--prior", action="append", default=[], metavar="KEY=VALUE", help="parameter of the normaliser's prior")
    parser.add_argument("--orders", type=_count, default=4, help="plays of each person in training (default: 4)")
    parser.add_argument("--smoothing", type=float, default=0.0, metavar="S", help="seconds that answers are averaged over")


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, got {text!r}")
    return int(text)


def prior_options(args: argparse.Namespace) -> dict[str, Any]:
    """What ``--prior`` says; UsageError for an unknown option."""
    from streamaffect.errors import UsageError

    found = pairs("--prior", args.prior)
    if unknown := found.keys() - set(PRIOR_OPTIONS):
        raise UsageError(f"--prior knows {', '.join(PRIOR_OPTIONS)}, not {', '.join(sorted(unknown))}")
    if not isinstance(recentre := found.get("recentre", True), bool):
        raise UsageError(f"--prior recentre is true or false, got {recentre!r}")
    if not args.smoothing >= 0:
        raise UsageError(f"--smoothing must not be negative, got {args.smoothing:g}")
    return found


def views_and_hop(
    args: argparse.Namespace, first: Recording, reads: str, seconds: float | None = None
) -> tuple[list[View], float]:
    """The views asked for, as the recording ``first`` has channels, and the hop; ``reads`` is what the method can."""
    from streamaffect.errors import UsageError

    if args.view and args.modality:
        raise UsageError("--view names views, --modality takes those of signals: give one of them")
    if args.view:
        chosen = [view_of(text, first) for text in args.view]
        kinds = [str(view.modality) for view in chosen]
    else:
        kinds = modalities(args.modality)
        chosen = [view for kind in kinds for view in _usual(kind, first, reads, seconds)]
    if reads == "vectors" and (raw := [view.name for view in chosen if not view.is_vector]):
        raise UsageError(f"method {args.method} reads vectors, and {raw[0]} is a signal: leave it out")
    return chosen, args.hop or max(HOP_S.get(kind, 5.0) for kind in kinds)


def modalities(given: list[str] | None) -> list[str]:
    """Comma lists and repetitions as one list, in the order given."""
    from streamaffect.errors import UsageError

    names = list(dict.fromkeys(name for part in given or ["ecg"] for name in part.split(",")))
    if unknown := [name for name in names if name not in HOP_S]:
        raise UsageError(f"--modality knows {', '.join(HOP_S)}, not {unknown[0]!r}")
    return names


def _usual(modality: str, recording: Recording, reads: str, seconds: float | None) -> list[View]:
    """The views of ``modality``; signals only for a method that reads any."""
    from streamaffect.features import views

    match modality:
        case "ecg":
            return [views.ecg_hrv()] if reads == "vectors" else [views.ecg_raw(), views.ecg_hrv()]
        case "eeg":
            channels = next((list(s.spec.channels) for s in recording.signals if s.spec.modality == modality), [])
            return [views.eeg_de(channels=channels, seconds=seconds or EEG_SECONDS)]
        case "eda":
            return [views.eda_stats()]
        case _:
            return [views.ppg_pulse()]


def view_of(text: str, recording: Recording) -> View:
    """``NAME[:key=value,...]``: the name with or without its version; a view of channels reads all that the recording has."""
    import inspect

    from streamaffect.errors import UsageError
    from streamaffect.features import views

    name, _, rest = text.partition(":")
    known = sorted(there for there in views.names() if name in (there, there.partition("/")[0]))
    if not known:
        raise UsageError(f"--view: no view {name!r}: there are {', '.join(views.names())}")
    params: dict[str, Any] = {}
    for key, value in pairs("--view", rest.split(",") if rest else []).items():
        params[key] = value.split("+") if isinstance(value, str) and (key == "channels" or "+" in value) else value
    factory = views.FACTORIES.get(known[-1])
    if factory is not None and "channels" in inspect.signature(factory).parameters and "channels" not in params:
        kind = known[-1].partition(".")[0]
        params["channels"] = next((list(s.spec.channels) for s in recording.signals if s.spec.modality == kind), [])
    try:
        return views.make(known[-1], **params)
    except ValueError as error:
        raise UsageError(f"--view {text}: {error}") from None


def texts(given: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (pair.partition("=") for pair in given)}


def pairs(flag: str, given: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; values are JSON where they can be, text otherwise."""
    import json

    from streamaffect.errors import UsageError

    out: dict[str, Any] = {}
    for key, value in texts(given).items():
        if not key or not value:
            raise UsageError(f"{flag} takes KEY=VALUE, got {key!r}")
        try:
            out[key] = json.loads(value)
        except json.JSONDecodeError:
            out[key] = value
    return out
