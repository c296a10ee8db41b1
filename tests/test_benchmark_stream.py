"""The tables of docs/stream.md are made of what live completion delivers."""

import pytest

from benchmarks import stream


@pytest.mark.slow
def test_the_tables_of_live_completion(monkeypatch, capsys):
    monkeypatch.setattr(stream, "DELAYS", (0, 4))
    arguments = ["--motion", "procedural", "--clips", "2", "--longest", "48"]
    assert stream.main([*arguments, "--protocols", "holes20"]) == 0
    speed, accuracy = capsys.readouterr().out.strip().split("\n\n")
    assert [line.split("|")[1].strip() for line in speed.splitlines()[2:]] == ["holes20"] * 2
    rows = [line.split("|") for line in accuracy.splitlines()[2:]]
    parts = {row[2].strip(): row[3:] for row in rows}
    assert set(parts) >= {"missing", "upsampled"}
    now, later, whole = (float(cell.split("/")[0]) for cell in parts["missing"][:3])
    assert whole < now and later < now < 1


def test_motion_that_is_not_there(capsys):
    assert stream.main(["--motion", "nowhere.npz"]) == 2
    assert capsys.readouterr().err.startswith("benchmarks.stream: nowhere.npz")
