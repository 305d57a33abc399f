"""Tasks of a developer: `nox -l` lists them, `nox -s test` runs one.

Each task installs what it needs into an environment of its own under .nox/, so that a fresh clone
needs nothing but nox and a C compiler.
"""

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "test"]
nox.options.reuse_venv = "yes"

BUILD = ("setuptools>=77", "cython>=3.3,<3.4")


@nox.session(python=False)
def setup(session: nox.Session) -> None:
    """Make .venv with an editable build and all tools."""
    session.run("python3", "-m", "venv", ".venv")
    pip = (".venv/bin/python", "-m", "pip", "install", "-q")
    session.run(*pip, *BUILD)
    session.run(*pip, "--no-build-isolation", "-e", ".[test,lint,optimize]")


@nox.session(python=False)
def build(session: nox.Session) -> None:
    """Rebuild the kernels in place after a change of a .pyx, .pxd or .h file."""
    session.run(".venv/bin/python", "setup.py", "build_ext", "--inplace")


@nox.session(python=["3.11", "3.12", "3.13"])
def test(session: nox.Session) -> None:
    """Install the package and run the tests outside the checkout; arguments go to pytest."""
    session.install(".[test]")
    tree = session.invoked_from
    session.chdir(session.create_tmp())
    session.run("pytest", "-q", "-c", f"{tree}/pyproject.toml", f"{tree}/tests", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types."""
    session.install(".[lint,progress,completion]", "pytest", "hypothesis")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("cython-lint", *session.run("git", "ls-files", "*.pyx", silent=True).split())
    session.run("mypy", "--strict", "kmeans_c")


@nox.session(python=False)
def sanitize(session: nox.Session) -> None:
    """Run the tests under AddressSanitizer and UndefinedBehaviorSanitizer (gcc, Linux)."""
    session.run("tests/sanitized.sh", *session.posargs, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site into docs/_build; a warning is an error."""
    session.install(".[docs]")
    tree = session.invoked_from
    session.chdir(session.create_tmp())
    session.run("python", f"{tree}/docs/make_gallery.py")
    session.run("sphinx-build", "-W", "-q", "-b", "html", f"{tree}/docs", f"{tree}/docs/_build")


@nox.session
def bench(session: nox.Session) -> None:
    """Run one benchmark: `nox -s bench -- bench_process.py`."""
    session.install(".[bench]")
    if not session.posargs:
        session.error("expected the name of a script in benchmarks/")
    script, *arguments = session.posargs
    tree = session.invoked_from
    session.chdir(session.create_tmp())
    session.run("python", f"{tree}/benchmarks/{script}", *arguments)


@nox.session(python=False)
def ci(session: nox.Session) -> None:
    """Run everything that must hold before a change lands, from nothing."""
    session.run(".ci/run", external=True)
