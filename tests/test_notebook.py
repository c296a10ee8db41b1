"""The notebook runs from top to bottom, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(PATH, as_version=4)


@pytest.mark.slow  # a process of its own, which compiles
def test_it_runs_and_shows_its_results(notebook, tmp_path):
    # The package is installed here, or there would be no test.
    installing = [c for c in notebook.cells if "install" in c.metadata.get("tags", ())]
    assert len(installing) == 1 and "%pip install" in installing[0].source
    notebook.cells.remove(installing[0])

    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": tmp_path}})
    client.execute()

    written = {path.name for path in tmp_path.iterdir()}
    results = ("filled.json", "filled.png", "upsampled.npz", "upsampled.mp4", "report.html")
    assert written == set(results)
    shown = {
        cell.id: {kind for output in cell.outputs for kind in output.get("data", ())}
        for cell in notebook.cells if cell.cell_type == "code"
    }
    assert "image/png" in shown["picture"]
    assert "text/html" in shown["upsampled"] and "text/html" in shown["written"]


def test_it_is_kept_without_outputs(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count is not None]
