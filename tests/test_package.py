"""What `import kmeans_c` gives, in which order whatever is imported, and what it costs."""

import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import kmeans_c

FUNCTIONS = ("compress", "quantize", "sweep")  # whose modules have the same names


def run(program: str) -> str:
    """Run a program in a new interpreter; its standard output."""
    # From elsewhere and with this interpreter's path, so that it finds the same package.
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{program}"],
        cwd=Path(sys.executable).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("name", kmeans_c.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(kmeans_c, name)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__module__.startswith("kmeans_c.")
    assert name in dir(kmeans_c)


def test_star_import_gives_the_public_names() -> None:
    program = "from kmeans_c import *; import json; print(json.dumps(sorted(set(dir()))))"
    names = set(json.loads(run(program)))
    assert set(kmeans_c.__all__) <= names
    assert not {"numpy", "np", "ModuleType", "TYPE_CHECKING"} & names


@pytest.mark.parametrize("first", ["", "import kmeans_c.{0}", "from kmeans_c.{0} import {0}"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_named_like_modules_are_functions(name: str, first: str) -> None:
    program = f"""
{first.format(name)}
import importlib, inspect, kmeans_c
assert inspect.isfunction(kmeans_c.{name})
assert inspect.ismodule(importlib.import_module("kmeans_c.{name}"))
import kmeans_c.targets, kmeans_c.sweep, kmeans_c.compress
from kmeans_c import {name}
assert inspect.isfunction(kmeans_c.{name}) and kmeans_c.{name} is {name}
print("good")
"""
    assert run(program) == "good\n"


def test_functions_stay_functions_after_everything_is_imported() -> None:
    for name in FUNCTIONS:
        __import__(f"kmeans_c.{name}")
        assert inspect.isfunction(getattr(kmeans_c, name))


def test_a_test_may_replace_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    original = kmeans_c.quantize
    monkeypatch.setattr(kmeans_c, "quantize", len)
    assert kmeans_c.quantize is len  # type: ignore[comparison-overlap]
    monkeypatch.undo()
    assert kmeans_c.quantize is original


def test_submodules_are_attributes() -> None:
    assert run("import kmeans_c; print(kmeans_c.palette_files.__name__)") == (
        "kmeans_c.palette_files\n"
    )


@pytest.mark.parametrize("name", ["nothing_like_it", "_nothing", "__nothing__"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"^module 'kmeans_c' has no attribute '{name}'$"):
        getattr(kmeans_c, name)
    assert not hasattr(kmeans_c, name)


def test_importing_the_package_imports_nothing_else() -> None:
    program = """
import sys
import tomllib
before = set(sys.modules)
import kmeans_c
print(*sorted(set(sys.modules) - before))
"""
    new = run(program).split()
    assert set(new) - {"types"} == {"kmeans_c", "kmeans_c._version"}


def test_a_plain_run_of_the_command_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    program = f"""
import os, sys
os.chdir({str(tmp_path)!r})
from PIL import Image
Image.linear_gradient("L").convert("RGB").save("a.png")
from kmeans_c.cli import main
assert main(["-q", "a.png", "-o", "b.png", "--allow-larger"]) == 0
print(*sys.modules)
"""
    loaded = set(run(program).split())
    unneeded = {"numpy.ma", "numpy.random", "multiprocessing", "json", "csv", "pathlib"}
    unneeded |= {"kmeans_c.targets", "kmeans_c.perceptual", "kmeans_c.animation", "kmeans_c.views"}
    unneeded |= {f"kmeans_c._kernels.{name}" for name in ("diffusion", "ordered", "lloyd", "lzw")}
    assert unneeded & loaded == set()


def test_every_package_is_in_the_wheel() -> None:
    tree = Path(__file__).parents[1]
    if not (tree / "pyproject.toml").is_file() or not (tree / "kmeans_c").is_dir():
        pytest.skip("the tree is not there")
    settings = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    found = {
        ".".join(file.parent.relative_to(tree).parts)
        for file in (tree / "kmeans_c").rglob("__init__.py")
    }
    assert set(settings["tool"]["setuptools"]["packages"]) == found
