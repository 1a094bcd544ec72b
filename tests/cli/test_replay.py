"""Recordings played by the command line, read by LSL's own inlets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def test_plays_to_the_end_and_says_what(recording: Path, cli: Callable):
    outcome = cli("replay", recording, "--as", "shimmer", "--speed", "max", "--wait", 0)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "eegmat Subject99 as shimmer: 6 s at speed 20"
    assert lines[1] == "  shimmer-ecg: ECG, 256 Hz, source_id replay-shimmer-ecg-subject99"
    assert lines[2] == "  shimmer-markers: 2 labels (rest, load)"
    assert lines[-1].endswith("ended: 6.0 s, 1536 samples sent, 0 lost")


def test_faults_are_counted(recording: Path, cli: Callable):
    faults = ("--drop", 0.1, "--jitter", 0.002, "--disconnect", "3/1", "--seed", 4)
    outcome = cli("replay", recording, "--as", "shimmer", "--speed", "max", "--wait", 0, *faults)
    assert outcome.code == 0, outcome.err
    sent, lost = (int(part.split()[0]) for part in outcome.out.splitlines()[-1].split(", ")[1:3])
    assert sent + lost == 1536
    assert lost > 256 + 100
    assert outcome.out.endswith("1 disconnects\n")


def test_first_subject_of_a_data_set_is_named(recording: Path, cli: Callable):
    outcome = cli("replay", "eegmat", "--root", recording.parent, "--speed", "max", "--wait", 0)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("eegmat: playing Subject99, the first of 1; --subject chooses another\n")


def test_its_streams_are_on_the_network_and_ctrl_c_ends_it(recording: Path, program: Callable, cli: Callable, until: Callable):
    import pylsl

    process = program("replay", recording, "--as", "polar-h10", "--loop")
    found = pylsl.resolve_byprop("source_id", "replay-polar-h10-ecg-subject99", 1, 10)
    inlet = pylsl.StreamInlet(found[0], recover=False)
    sample, _ = inlet.pull_sample(10)
    assert sample is not None
    listed = {stream["name"]: stream for stream in json.loads(cli("streams", "--json", "--timeout", 1).out)}
    assert listed["polar-h10-ecg"]["rate"] == 130.0
    assert listed["polar-h10-markers"]["type"] == "Markers"
    assert "replay-polar-h10-ecg-subject99" in cli("streams").out
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    assert "in a loop at speed 1" in out
    inlet.close_stream()
    gone = "name='polar-h10-ecg'"
    until(lambda: not pylsl.resolve_bypred(gone, 1, 0.2))


def test_it_ends_when_told_to_with_standard_input(recording: Path, program: Callable):
    process = program("replay", recording, "--loop", "--wait", 0, "--until-stdin-closes", stdin=subprocess.PIPE)
    assert "in a loop" in process.stdout.readline()
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


def test_sigterm_ends_it_with_0_where_a_shell_ignores_sigint(recording: Path, program: Callable):
    ignoring = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731 - what `sh -c 'streamaffect ... &'` does
    process = program("replay", recording, "--loop", "--wait", 0, preexec_fn=ignoring)
    assert "in a loop" in process.stdout.readline()
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


def test_progress_on_a_terminal(recording: Path, program: Callable):
    ours, theirs = os.openpty()
    process = program("replay", recording, "--speed", "max", "--wait", 0, stdout=theirs, stderr=subprocess.STDOUT)
    os.close(theirs)
    assert process.wait(20) == 0
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "1368 samples sent" in shown
    assert "━" in shown


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ("--disconnect 20", "argument --disconnect: must be EVERY/FOR in seconds such as 20/5, got '20'"),
        ("--disconnect 5/20", "disconnect EVERY/FOR needs 0 < FOR < EVERY seconds, got 5/20"),
        ("--speed fast", "must be a positive number or max, got 'fast'"),
        ("--speed 0", "must be a positive number or max, got '0'"),
        ("--drop 1", "drop must be a share from 0 up to but not 1, got 1"),
        ("--jitter -1", "jitter must be seconds from 0 up to 10, got -1"),
        ("--wait soon", "must be seconds, 0 or more, got 'soon'"),
        ("--as nosuch", "unknown device 'nosuch': choose one of emotiv"),
        ("--subject S1", "--subject is for data sets"),
    ],
)
def test_what_cannot_be_is_bad_usage(flags: str, part: str, recording: Path, cli: Callable):
    cli("replay", recording, *flags.split()).is_error(2, part)


def test_a_recording_that_cannot_be_played_so(recording: Path, cli: Callable):
    cli("replay", recording, "--as", "muse").is_error(1, "cannot play as 'muse'", "play it as 'generic'")


def test_unreadable_recordings(recording: Path, tmp_path: Path, cli: Callable):
    whole = recording.read_bytes()
    recording.write_bytes(whole[: len(whole) // 2])
    cli("replay", recording).is_error(1, "truncated or damaged")
    cli("replay", tmp_path / "none.npz").is_error(1, "none.npz: no such recording")
    cli("replay", tmp_path).is_error(2, "is a folder: give a file in it")
    cli("replay", "nosuch").is_error(2, "neither a recording file nor a data set: data sets are", "eegmat")
    cli("replay", "eegmat").is_error(2, "pass --root DIR")
    cli("replay", "eegmat", "--root", tmp_path / "home").is_error(1, "holds no .npz recordings")


def test_no_stream_is_told_and_an_empty_list(cli: Callable):
    nothing = cli("streams", "--timeout", 0.2, "--json")
    assert (nothing.code, json.loads(nothing.out)) == (0, [])
    assert "no LSL stream answered within 0.2 s" in cli("streams", "--timeout", 0.2).err
    cli("streams", "--timeout", -1).is_error(2, "--timeout must be seconds")
