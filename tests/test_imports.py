"""What an import loads, which names there are, and which room imports from which."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import posegan_jax
from posegan_jax.inpainting.solver import SOURCES

PACKAGE = Path(posegan_jax.__file__).parent
DEMO = PACKAGE / "assets" / "demo-alphapose-results.json"
NETCDF = ("h5netcdf", "h5py", "pandas", "xarray")
HEAVY = ("jax", "jaxlib", "flax", "orbax", "tensorflow_datasets", "tensorflow", "matplotlib")

# A room imports only from rooms before it; errors stand below all of them, the top above.
ROOMS = (
    "errors", "runtime", "pose", "formats", "geometry", "model", "motion", "render", "training",
    "inpainting", "batch", "evaluation", "top",
)
TOP = (
    "__init__", "__main__", "arguments", "cli", "config", "main", "speed", "speed_options",
)
# Both take a whole configuration: they are what main.py calls with it.
EXCEPTIONS = {("training/loop.py", "config"), ("evaluation/evaluate.py", "config")}
# What the light rooms import from elsewhere. SciPy is for people without ids who are near each
# other alone, see below, and what follows NumPy in formats for netCDF files alone.
LIGHT = {"pose": {"numpy", "scipy"}, "formats": {"numpy", "h5netcdf", "h5py", "xarray"}}

COMMANDS = ("fill", "batch", "evaluate", "speed")
MODULES = sorted(PACKAGE.rglob("*.py"))
names = [path.relative_to(PACKAGE).as_posix() for path in MODULES]
every_module = pytest.mark.parametrize("path", MODULES, ids=names)


# --- what an import loads -------------------------------------------------------------------------


def run(code, *arguments, **environment):
    """What a new process prints that runs some code."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
        check=False, cwd=PACKAGE.parent, env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code, *arguments):
    """Names of the modules that are loaded after some code has run."""
    code += "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(run(code, *arguments)))


def test_importing_the_package_loads_nothing_heavy():
    modules = loaded("import posegan_jax; dir(posegan_jax); posegan_jax.__version__")
    assert not modules & {*HEAVY, "numpy"}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command):
    code = """
import contextlib, io, sys
from posegan_jax import cli
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    cli.main([*sys.argv[1:], "--help"])
"""
    modules = loaded(code, *command.split())
    assert "posegan_jax.arguments" in modules and not modules & {*HEAVY, *NETCDF, "scipy"}


COMMAND = """
import contextlib, io, sys
from posegan_jax import cli
with contextlib.redirect_stdout(io.StringIO()):
    assert cli.main(sys.argv[1:]) == 0
"""


@pytest.mark.parametrize("command", [["info"], ["convert", DEMO, "converted.npz"]])
def test_light_commands_load_nothing_heavy(command, tmp_path):
    command = [str(tmp_path / word) if word == "converted.npz" else word for word in command]
    assert not loaded(COMMAND, *command) & {*HEAVY, "scipy"}


@pytest.fixture(scope="module")
def loaded_by_filling(tmp_path_factory):
    """What filling loads, of the programs that are kept by then."""
    output = tmp_path_factory.mktemp("filled") / "filled.json"
    for _ in range(2):  # nobody may have filled before
        modules = loaded(COMMAND, "fill", DEMO, "-o", output, "--fps", 25, "--quality", "fast")
        if "flax" not in modules:
            break
    return modules


def test_filling_loads_what_it_needs(loaded_by_filling):
    assert "jax" in loaded_by_filling
    assert not loaded_by_filling & {"flax", "optax", "orbax", "posegan_jax.model.networks"}


def test_filling_loads_nothing_of_scipy_but_linear_algebra(loaded_by_filling):
    parts = {f"scipy.{part}" for part in ("signal", "interpolate", "ndimage", "special")}
    assert not loaded_by_filling & parts


def test_no_module_touches_a_device_when_it_is_imported():
    # jax.distributed.initialize() must come first. On a platform that does not exist, the first
    # touch is an error.
    modules = [".".join(("posegan_jax", *Path(name).with_suffix("").parts)) for name in names]
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import jax
try:
    jax.devices()
except RuntimeError:
    print("no device")
"""
    modules = [name for name in modules if not name.endswith("__main__")]
    assert run(code, *modules, JAX_PLATFORMS="nowhere").endswith("no device\n")


def test_formats_read_and_write_without_jax(tmp_path):
    alone = [{"image_id": t, "keypoints": [1 + t, 2, 0.9] * 17} for t in range(3)]
    ids = [record | {"idx": 1} for record in alone]
    body = [[10.0 * k, 20.0 * (k % 5), 0.9] for k in range(17)]
    near = [[[x + shift, y, score] for x, y, score in body] for shift in (0.0, 30.0)]
    two = [
        {"image_id": t, "keypoints": [value for joint in person for value in joint]}
        for t in range(3) for person in near
    ]
    code = """
import sys
import posegan_jax.formats
path = sys.argv[1]
file = posegan_jax.formats.read(path)
posegan_jax.write(file, path)
for suffix in (".npz", ".csv"):
    posegan_jax.write(file, path + suffix)
    posegan_jax.read(path + suffix)
"""
    for name, records, solver in (("ids", ids, set()), ("alone", alone, set()),
                                  ("two", two, {"scipy"})):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(records))
        modules = loaded(code, path)
        assert "posegan_jax.formats.alphapose" in modules
        assert modules & {*HEAVY, *NETCDF, "scipy"} == solver


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", posegan_jax.__all__)
def test_public_names_exist(name):
    value = getattr(posegan_jax, name)
    assert value is getattr(posegan_jax, name)
    assert getattr(value, "__name__", name) == name
    assert name in dir(posegan_jax)


def test_type_checkers_are_told_of_all_of_them():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    told = next(node for node in tree.body if isinstance(node, ast.If)).body
    names = {alias.asname: node.module for node in told for alias in node.names}
    expected = {name: f"posegan_jax.{module}" for name, module in posegan_jax._EXPORTS.items()}
    assert names == expected and (PACKAGE / "py.typed").exists()


def test_the_version_is_a_string():
    assert posegan_jax.__version__[0].isdigit()


def test_names_that_there_are_not():
    with pytest.raises(AttributeError, match="'posegan_jax' has no attribute 'inpaint'"):
        posegan_jax.inpaint  # noqa: B018
    assert not hasattr(posegan_jax, "inpaint")


# --- rooms ----------------------------------------------------------------------------------------


def test_every_module_has_a_room():
    rooms = {name.split("/")[0].removesuffix(".py") for name in names}
    assert rooms <= {*ROOMS, *TOP}


@every_module
def test_rooms_import_in_one_direction(path):
    name = path.relative_to(PACKAGE).as_posix()
    targets = {
        module.partition(".")[2]
        for module in imported(path)
        if module.split(".")[0] == "posegan_jax"
    }
    allowed = {target for source, target in EXCEPTIONS if source == name}
    assert not {t for t in targets - allowed if room(t) > room(name.removesuffix(".py"))}


@pytest.mark.parametrize("one, other", [("training", "inpainting"), ("inpainting", "training")])
def test_what_makes_models_and_what_takes_them_do_not_know_each_other(one, other):
    for path in (PACKAGE / one).rglob("*.py"):
        assert not [m for m in imported(path) if m.startswith(f"posegan_jax.{other}")], path.name


def test_the_exceptions_are_needed():
    for name, target in EXCEPTIONS:
        assert f"posegan_jax.{target}" in imported(PACKAGE / name)


def test_programs_of_the_search_are_known_by_all_that_they_are_made_of():
    """A file that is left out could change, and the programs of before would be taken for its."""
    # What these give are values, which the programs are known by, too, or decides nothing of them.
    left = {"errors", "inpainting.settings", "runtime.options", "runtime.programs"}
    todo, seen = ["posegan_jax.inpainting.solver"], set()
    while todo:
        name = todo.pop().removeprefix("posegan_jax.")
        if name in seen | left | {"posegan_jax"}:
            continue
        seen.add(name)
        path = PACKAGE.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert any(path.is_relative_to(PACKAGE / source) for source in SOURCES), name
        todo += [module for module in imported(path) if module.startswith("posegan_jax")]
    assert len(seen) > 15 and all((PACKAGE / source).exists() for source in SOURCES)


@pytest.mark.parametrize("name", LIGHT)
def test_light_rooms_import_little_from_elsewhere(name):
    tops = {m.split(".")[0] for p in (PACKAGE / name).rglob("*.py") for m in imported(p)}
    assert tops - sys.stdlib_module_names - {"posegan_jax"} == LIGHT[name]


def room(module):
    """Where a module, named within the package, stands in ROOMS; the package itself on top."""
    first = module.replace("/", ".").split(".")[0]
    return ROOMS.index("top" if first in ("", *TOP) else first)


def imported(path):
    """Full names of the modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ["posegan_jax", *path.relative_to(PACKAGE).parent.parts]
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                # "from a import b" may name a module or something in one.
                found.add(f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base)
    return found


def is_module(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()
