"""Pickles are read, never run."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect.datasets import pickles
from streamaffect.errors import DatasetError


class _Runs:
    """Would make a file when unpickled."""

    def __init__(self, call: object, *args: object) -> None:
        self.reduced = (call, args)

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduced  # type: ignore[return-value]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_protocol_come_back(protocol: int) -> None:
    rng = np.random.default_rng(0)
    content = {
        "c": rng.normal(size=(3, 4)),
        "fortran": np.asfortranarray(rng.normal(size=(3, 4))),
        "big": rng.normal(size=5).astype(">f4"),
        "whole": np.arange(6, dtype=np.int32),
        "number": np.float64(2.5),
        "nested": {"list": [1, 2.5, "S2"], "empty": np.empty((0, 3))},
    }
    loaded = pickles.loads(pickle.dumps(content, protocol), "here")
    for key in ("c", "fortran", "big"):
        assert loaded[key].dtype == np.float32
        assert np.array_equal(loaded[key], content[key].astype(np.float32))  # type: ignore[attr-defined]
    assert loaded["whole"].tolist() == [0, 1, 2, 3, 4, 5]
    assert loaded["number"] == 2.5
    assert loaded["nested"]["list"] == [1, 2.5, "S2"]
    assert loaded["nested"]["empty"].shape == (0, 3)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", [os.system, eval, exec, os.open, getattr])
def test_foreign_pickle_is_refused_and_not_run(tmp_path: Path, call: object, protocol: int) -> None:
    trace = tmp_path / "trace"
    arguments = {os.system: f"touch {trace}", os.open: (str(trace), os.O_CREAT)}
    code = arguments.get(call, f"open({str(trace)!r}, 'w')")  # type: ignore[call-overload]
    evil = _Runs(call, *(code if isinstance(code, tuple) else (code,)))
    path = tmp_path / "S2.pkl"
    path.write_bytes(pickle.dumps({"signal": np.zeros(3), "label": evil}, protocol))
    with pytest.raises(DatasetError, match=r"S2.pkl: asks for .*which no recording needs: refused") as caught:
        pickles.load(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


def test_the_foreign_pickle_would_have_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(_Runs(os.system, f"touch {trace}")))
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.array([{"a": 1}, None], dtype=object), "an array of 'O8'"),
        (np.zeros(2, dtype=[("a", "f8")]), "an array of 'V8'"),
        (np.array(["a", "b"]), "an array of 'U1'"),
        (np.datetime64("2020-01-01"), "an array of 'M8'"),
        ({"deep": [[[[[[[1]]]]]]]}, "nests deeper"),
        (_Runs(__import__("_codecs").encode, "x", "zip"), "the encoding 'zip'"),
    ],
)
def test_what_is_no_plain_array_is_refused(content: object, said: str) -> None:
    with pytest.raises(DatasetError, match=f"here: .*{said}"):
        pickles.loads(pickle.dumps(content, 2), "here")


def test_objects_hidden_in_the_state_of_a_number_array_are_refused() -> None:
    """The very trick that numpy's own __setstate__ would have to see through."""
    array = np.arange(4.0)
    whole = pickle.dumps(array, 0)
    assert b"Vf8" in whole
    with pytest.raises(DatasetError, match="an array of 'O8'"):
        pickles.loads(whole.replace(b"Vf8", b"VO8"), "here")


def test_size_that_does_not_fit_the_shape_is_damage() -> None:
    whole = pickle.dumps(np.arange(4.0), 0)
    with pytest.raises(DatasetError, match=r"here: truncated or damaged.*needs 72 bytes, it has 32"):
        pickles.loads(whole.replace(b"(I4\nt", b"(I9\nt").replace(b"(I4\ntp", b"(I9\ntp"), "here")


@pytest.mark.parametrize("keep", [0, 1, 20, 60, -3])
def test_truncated_pickle_is_told_in_one_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"signal": np.arange(100.0)}, 0)[:keep])
    with pytest.raises(DatasetError, match=r"x.pkl: truncated or damaged") as caught:
        pickles.load(path)
    assert "\n" not in str(caught.value)


_CONTENT = {"signal": {"ECG": np.arange(30.0)[:, None]}, "label": np.arange(30, dtype=np.int32), "subject": "S2"}


@settings(max_examples=150, deadline=None)
@given(protocol=st.sampled_from([0, 2, 4, 5]), place=st.floats(0, 0.999), value=st.integers(0, 255))
def test_damage_anywhere_is_read_or_refused_and_nothing_else(protocol: int, place: float, value: int) -> None:
    whole = bytearray(pickle.dumps(_CONTENT, protocol))
    whole[int(place * len(whole))] = value
    with contextlib.suppress(DatasetError):
        pickles.loads(bytes(whole), "here")


@pytest.mark.parametrize("size", [2**31 - 1, 2**40, 2**62])
@pytest.mark.parametrize("opcode", [pickle.BINBYTES8, pickle.BYTEARRAY8, pickle.BINUNICODE8, pickle.LONG_BINPUT])
def test_no_room_is_made_for_what_is_only_announced(opcode: bytes, size: int) -> None:
    if opcode == pickle.LONG_BINPUT:
        announced = pickle.NONE + opcode + struct.pack("<I", min(size, 2**32 - 1)) + pickle.STOP
        assert pickles.loads(b"\x80\x05" + announced, "here") is None
        return
    with pytest.raises(DatasetError, match="truncated or damaged"):
        pickles.loads(b"\x80\x05" + opcode + struct.pack("<Q", size) + b"abc" + pickle.STOP, "here")


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy.core.multiarray\n_reconstruct\n}Vx\nI1\nsb.",  # attributes of a function
        b"cnumpy.core.multiarray\n_reconstruct\n(N}V__doc__\nVx\nstb.",
        b"]}Vx\nI1\nsb.",
    ],
)
def test_only_arrays_are_changed(program: bytes) -> None:
    with pytest.raises(DatasetError, match="changes what is no array"):
        pickles.loads(program, "here")


@pytest.mark.parametrize("program", [b"(icollections\nOrderedDict\n.", b"Px\n.", b"\x82\x01.", b"(cnumpy\nndarray\no."])
def test_other_kinds_of_objects_are_not_made(program: bytes) -> None:
    with pytest.raises(DatasetError):
        pickles.loads(program, "here")


def test_missing_file_and_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such recording"):
        pickles.load(tmp_path / "x.pkl")
    with pytest.raises(DatasetError, match="cannot be read"):
        pickles.load(tmp_path)
