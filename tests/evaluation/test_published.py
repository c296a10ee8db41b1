"""The packaged weights are as good as is published of them, on a subset that takes seconds.

published.json is made by benchmarks/accuracy.py together with the tables of docs/benchmark.md.
"""

import json
from pathlib import Path

import pytest

from posegan_jax.evaluation.benchmark import run_benchmark
from posegan_jax.evaluation.settings import EvaluateOptions

MOTION = Path(__file__).parents[3] / "shared" / "data" / "mocap"
ENTRIES = json.loads(Path(__file__).with_name("published.json").read_text())
TOLERANCE = 0.01
"""Of PCKh@0.5 and AUC: other processors round in other ways, and a search amplifies it."""


def published(entry, method):
    """(protocol, part, metric) -> value."""
    return {
        (result["protocol"], part, metric): value
        for result in entry["results"] if result["method"] == method
        for part, metrics in result["values"].items() for metric, value in metrics.items()
    }


@pytest.mark.parametrize("method", ["fast", pytest.param("balanced", marks=pytest.mark.slow)])
@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["motion"] for entry in ENTRIES])
def test_the_weights_are_as_good_as_published(inpainter, entry, method):
    path = entry["motion"]
    if path != "procedural":
        path = MOTION / path
        if not path.exists():
            pytest.skip(f"{path.name} is not here")
    named = {name: tuple(v) if isinstance(v, list) else v for name, v in entry["options"].items()}
    options = EvaluateOptions(**named | {"motion": str(path), "methods": (method,)})
    result = run_benchmark(inpainter, options)
    expected = published(entry, method)
    assert len(expected) >= 10
    found = {
        key: result.of(key[0])[method].values[key[1]][key[2]] for key in expected
    }
    worse = {key: (found[key], value) for key, value in expected.items()
             if not found[key] >= value - TOLERANCE}
    assert not worse
