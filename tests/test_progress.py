"""The bar: on a terminal, above it the lines; nowhere else, and never in their way."""

import os
import subprocess
import sys
from pathlib import Path

import hostile
import pytest

from kmeans_c import cli

pytest.importorskip("rich", reason="the extra progress")
pty = pytest.importorskip("pty", reason="needs a terminal")

ROOT = Path(cli.__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        data = hostile.file_of(hostile.photo(seed=number), "png")
        (tmp_path / f"{number}.png").write_bytes(data)
    return tmp_path


def on_a_terminal(folder, *options, stdout=None):
    """What the program writes to a terminal, its standard output too unless that goes elsewhere."""
    ours, theirs = pty.openpty()
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from kmeans_c.cli import main\n"
        "if __name__ == '__main__': sys.exit(main(['-t1', *sys.argv[1:]]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, "-rf", str(folder), *options],
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return b"".join(parts).decode()


@pytest.mark.parametrize("workers", ["-j1", "-j2"])
def test_bar_and_lines(folder, workers):
    shown = on_a_terminal(folder, workers)
    assert "5/5" in shown
    for number in range(5):
        assert f"{folder}/{number}.png -> {folder}/{number}_compressed.png: " in shown
    assert "5 files: " in shown


def test_lines_elsewhere(folder, tmp_path):
    with (tmp_path / "lines").open("wb") as file:
        shown = on_a_terminal(folder, stdout=file)
    assert "5/5" in shown
    assert "->" not in shown
    lines = (tmp_path / "lines").read_text()
    assert lines.count("\n") == 6
    assert "\x1b" not in lines


@pytest.mark.parametrize("option", ["-q", "--json"])
def test_no_bar(folder, option):
    assert "5/5" not in on_a_terminal(folder, option)


def test_no_bar_for_one(folder):
    for number in range(1, 5):
        (folder / f"{number}.png").unlink()
    assert "1/1" not in on_a_terminal(folder)
