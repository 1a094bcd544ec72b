"""Jobs repeated by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect.runtime.job import Job, Order


@pytest.fixture
def job(tmp_path: Path, bundle: Path, windows: dict[str, np.ndarray]) -> Path:
    order = Order(bundle=str(bundle), method="dynamic", params={"epochs": 2}, device="cpu")
    return Job.create(tmp_path / "job", order, windows).path


def test_a_job_is_run_shown_and_run_again_in_a_copy(job: Path, tmp_path: Path, cli: Callable):
    outcome = cli("adapt", "--job", job)
    assert outcome.code == 0, outcome.err
    assert "100%" in outcome.out
    assert outcome.out.splitlines()[-1].startswith("adapted by dynamic in ")
    assert Job(job).result().status == "done"
    assert cli("models", "verify", job / "candidate").code == 0
    cli("adapt", "--job", job).is_error(2, "has a candidate already", "--out DIR")
    again = cli("adapt", "--job", job, "--out", tmp_path / "again", "--json")
    assert json.loads(again.out)["candidate"] == str(tmp_path / "again" / "candidate")
    assert "100%" in again.err
    cli("adapt", "--job", job, "--out", tmp_path / "again").is_error(2, "is already there")


def test_what_is_no_job(job: Path, tmp_path: Path, cli: Callable):
    cli("adapt", "--job", tmp_path).is_error(2, "there is no job.json")
    (job / "coreset.npz").unlink()
    cli("adapt", "--job", job).is_error(2, "there is no coreset.npz")
    (job / "job.json").write_text('{"bundle": 3}')
    cli("adapt", "--job", job).is_error(2, "job.json: bundle")


@pytest.mark.parametrize(
    ("change", "code", "part"),
    [
        ({"method": "nosuch"}, 2, "unknown method 'nosuch': there are "),
        ({"params": {"nosuch": 1}}, 2, "has no parameter 'nosuch'"),
        ({"bundle": "/nowhere"}, 1, "no bundle at /nowhere"),
    ],
)
def test_an_order_that_cannot_be_met(change: dict, code: int, part: str, job: Path, cli: Callable):
    order = json.loads((job / "job.json").read_text())
    (job / "job.json").write_text(json.dumps(order | change))
    cli("adapt", "--job", job).is_error(code, part)
    assert not (job / "candidate").exists()
