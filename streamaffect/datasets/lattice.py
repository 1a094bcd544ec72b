"""Samples with time stamps of their own, laid on the regular grid that a Signal is; holes become NaN.

The whole recording is at hand here, so places are found by looking both ways; the live path's grid cannot.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float32, Float64

STEADY = 0.125  # mean jitter [periods] up to which a stamp rounded to the grid is in its place
SHARED = 0.01  # of the samples may round to their neighbour's place, as with a clock that is a little fast
SLIP = 0.75  # this far [periods] off, smoothed stamps say that samples were lost, or that there is one too many
JITTER_SLIP = 0.05  # and so much more for each period of jitter, which comes in chunks and does not average out
SMOOTH_S, MOST_S = 0.5, 20.0  # of samples in the running median that takes the jitter off: at least, at most
DOUBT = 0.12  # periods that the running median may be uncertain of
TOLERANCE = 0.02  # share by which a stream's rate may differ from what its header says
MAX_HOURS = 48.0  # a grid longer than this comes from stamps of different clocks


def on_grid(stamps_s: Float64, samples: npt.NDArray[np.generic], rate: float) -> tuple[float, Float32]:
    """Time of the first sample and (channels, m) at ``rate``, from ``samples`` (channels, n) stamped ``stamps_s`` (n,).

    Steady stamps are rounded to the grid. Where they jitter, successive samples stand in successive places until the
    running median of their lateness says otherwise. Of several samples in one place the first stays. Raises ValueError where
    no stamp is finite, or they span more than two days.
    """
    finite = np.isfinite(stamps_s)
    if not finite.any():
        raise ValueError("has no samples with a time")
    order = np.argsort(stamps_s[finite], kind="stable")
    stamps_s, samples = stamps_s[finite][order], samples[:, finite][:, order]
    if stamps_s[-1] - stamps_s[0] > MAX_HOURS * 3600.0:
        raise ValueError(f"spans {(stamps_s[-1] - stamps_s[0]) / 3600:.0f} h, more than {MAX_HOURS:g} h: clocks are mixed")
    position = _spread((stamps_s - stamps_s[0]) * rate)
    places = _places(position, rate)
    origin_s = stamps_s[0] + float(np.median(position - places)) / rate
    places, first = np.unique(places, return_index=True)
    out = np.full((samples.shape[0], int(places[-1] - places[0]) + 1), np.nan, np.float32)
    out[:, places - places[0]] = samples[:, first]
    return float(origin_s + places[0] / rate), out


def rate_of(stamps_s: Float64, nominal: float) -> float:
    """The rate [Hz] of a stream: what its header says, unless its stamps agree with each other on another one.

    Losses make samples fewer, and chunks make intervals uneven: only where both their number and their median distance
    speak against the header is it overruled. Raises ValueError where no rate can be told.
    """
    stamps_s = np.sort(stamps_s[np.isfinite(stamps_s)])
    if stamps_s.size < 2 or stamps_s[-1] <= stamps_s[0]:
        if nominal > 0:
            return nominal
        raise ValueError("has too few samples to tell a rate")
    steps_s = np.diff(stamps_s)
    median_s = float(np.median(steps_s[steps_s > 0]))
    by_step, by_count = 1.0 / median_s, steps_s.size / float(stamps_s[-1] - stamps_s[0])
    if nominal > 0:
        agree = abs(by_step / by_count - 1.0) <= TOLERANCE
        return _tidy(by_count) if agree and abs(by_count / nominal - 1.0) > TOLERANCE else nominal
    # Stamps written in milliseconds make the median step coarse; a table without holes tells better by its count.
    return _tidy(by_count if abs(by_step / by_count - 1.0) <= 2 * TOLERANCE else by_step)


def _tidy(rate: float) -> float:
    """A whole number, or a whole number of seconds, where that is within half a per cent; else four digits."""
    for candidate in (float(round(rate)), 1.0 / round(1.0 / rate) if rate < 1 else 0.0):
        if candidate > 0 and abs(rate / candidate - 1.0) < 5e-3:
            return candidate
    return float(f"{rate:.4g}")


def _spread(position: Float64) -> Float64:
    """Samples of one stamp, a period apart: the stamp of a chunk is that of its last sample (LSL's own rule)."""
    last = np.flatnonzero(np.append(np.diff(position) > 0, True))
    return position - (last[np.searchsorted(last, np.arange(position.size))] - np.arange(position.size))


def _places(position: Float64, rate: float) -> npt.NDArray[np.int64]:
    """Places of samples at ``position`` [periods], in order of time."""
    rounded = np.round(position - _phase(position)).astype(np.int64)
    if _steady(position, rate) and np.count_nonzero(np.diff(rounded) <= 0) <= SHARED * rounded.size:
        return rounded
    late, jitter = _smooth(position - np.arange(position.size), rate)
    slip = SLIP + JITTER_SLIP * jitter
    shift, shifts = 0, []
    for value in late.tolist():
        if abs(value - shift) > slip:
            shift = round(value)
        shifts.append(shift)
    return np.maximum.accumulate(np.arange(position.size) + np.asarray(shifts, dtype=np.int64))


def _phase(position: Float64) -> float:
    """Where between the places [periods] the samples stand on average."""
    return float(np.angle(np.exp(2j * np.pi * position).mean()) / (2 * np.pi))


def _steady(position: Float64, rate: float) -> bool:
    """Whether samples stand on the grid, which may drift slowly: its phase is taken anew every two seconds."""
    blocks = np.array_split(position, max(1, round(position.size / max(16.0, 2.0 * rate))))
    off = [np.abs(block - phase - np.round(block - phase)) for block in blocks for phase in (_phase(block),)]
    return float(np.concatenate(off).mean()) <= STEADY


def _smooth(late: Float64, rate: float) -> tuple[Float64, float]:
    """Running median of lateness, 0 at the start, and its deviation from it; over as many samples as their jitter asks for.

    The median of n samples is as uncertain as 1.25 of their deviation over the root of n. It keeps edges: a loss stays sharp.
    """
    from scipy.ndimage import median_filter

    half = max(4, round(SMOOTH_S * rate / 2))
    rough = late - median_filter(late, 2 * half + 1, mode="reflect")
    deviation = 1.48 * float(np.median(np.abs(rough)))
    wanted = round((1.25 * deviation / DOUBT) ** 2 / 2)
    half = min(max(half, wanted), round(MOST_S * rate / 2), max(1, late.size // 2 - 1))
    smooth = median_filter(late, 2 * half + 1, mode="reflect")
    return np.asarray(smooth - np.median(late[: 2 * half + 1]), np.float64), deviation
