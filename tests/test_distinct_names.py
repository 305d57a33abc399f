"""Outputs of one run have distinct names, whatever the order of the inputs."""

import itertools
import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from kmeans_c import cli


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(4).integers(0, 256, (9, 9, 3), np.uint8)
    (tmp_path / "in/x").mkdir(parents=True)
    for name in ("logo.jpg", "logo.png", "logo.ppm", "logo.webp", "x/logo.png", "x/flip5.ppm"):
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    Image.fromarray(pixels).save(tmp_path / "in/x/flip5.png")
    return tmp_path


def written(capsys, *words):
    """Return which input became which output, by the lines."""
    assert cli.main([*words, "--json", "--allow-larger", "-k2"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()][:-1]
    return {record["input"]: record["output"] for record in records}


INPUTS = ["in/logo.jpg", "in/logo.png", "in/logo.webp", "in/x/logo.png"]


@pytest.mark.parametrize("words", [["-F", "png"], ["-F", "auto"], ["-F", "gif"]])
def test_the_same_names_in_every_order(folder, capsys, words):
    found = [
        written(capsys, *inputs, *words, "-f", "-d", "out")
        for inputs in itertools.permutations(INPUTS)
    ]
    assert all(names == found[0] for names in found)
    assert len(set(found[0].values())) == len(INPUTS)


def test_of_a_tree(folder, capsys):
    assert written(capsys, "-r", "in", "-F", "png", "-d", "out") == {
        "in/logo.png": "out/logo.png",
        "in/logo.jpg": "out/logo.jpg.png",
        "in/logo.ppm": "out/logo.ppm.png",
        "in/logo.webp": "out/logo.webp.png",
        "in/x/logo.png": "out/x/logo.png",
        "in/x/flip5.png": "out/x/flip5.png",
        "in/x/flip5.ppm": "out/x/flip5.ppm.png",
    }


def test_beside_the_inputs_and_again(folder, capsys):
    first = written(capsys, "-r", "in", "-F", "png")
    assert first["in/logo.png"] == "in/logo_compressed.png"
    assert first["in/logo.jpg"] == "in/logo.jpg_compressed.png"
    # Those are no inputs of the next run, and say so.
    assert written(capsys, "-r", "in", "-F", "png", "-f") == first
    assert cli.main(["-r", "in", "-F", "png", "-f", "--allow-larger"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "in/logo.jpg_compressed.png and 6 more: "
        "skipped: named as outputs of this program (--suffix)"
    )


def test_no_input_is_overwritten(folder, capsys):
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    found = written(capsys, *INPUTS, "-F", "png", "--suffix", "", "-d", "in", "-f")
    assert found["in/logo.png"] == "in/logo.png"  # -f replaces the input itself
    others = {path: data for path, data in before.items() if path != folder / "in/logo.png"}
    assert {path: path.read_bytes() for path in others} == others


def test_a_name_that_is_wanted_is_not_given_away(folder, capsys):
    data = (folder / "in/logo.png").read_bytes()
    (folder / "in/logo.jpg.png").write_bytes(data)
    (folder / "in/logo.2.png").write_bytes(data)
    names = ["in/logo.jpg", "in/logo.png", "in/logo.jpg.png", "in/logo.2.png"]
    found = written(capsys, *names, "-F", "png", "-d", "out")
    assert found == {
        "in/logo.jpg": "out/logo.3.png",
        "in/logo.png": "out/logo.png",
        "in/logo.jpg.png": "out/logo.jpg.png",
        "in/logo.2.png": "out/logo.2.png",
    }


def test_the_line_says_so(folder, capsys):
    assert cli.main(["in/logo.ppm", "in/logo.png", "-d", "out", "--allow-larger"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("in/logo.ppm -> out/logo.ppm.png: ")
    assert lines[0].endswith("; named so because out/logo.png is the output of in/logo.png")


@pytest.mark.parametrize("options", [[], ["-v"]])
def test_the_line_says_so_once(folder, capsys, options):
    assert cli.main(["in/logo.ppm", "in/logo.png", "-d", "out", "--allow-larger", *options]) == 0
    assert capsys.readouterr().out.count("named so because") == 1


def test_a_name_that_was_given_is_refused(folder, capsys):
    assert cli.main(["in/logo.png", "in/logo.jpg", "-o", "out.png"]) == 2
    assert cli.main(["in/logo.png", "./in/logo.png", "-d", "out"]) == 2
    assert "would both be written to" in capsys.readouterr().err
    assert not (folder / "out").exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_failures_leave_no_empty_folders(folder, capsys, jobs):
    (folder / "bad.png").write_bytes(b"no image")
    (folder / "worse.png").write_bytes(b"no image")
    assert cli.main(["bad.png", "worse.png", "-d", "a/b", f"-j{jobs}"]) == 1
    assert not (folder / "a").exists()
    (folder / "c").mkdir()
    assert cli.main(["bad.png", "worse.png", "-d", "c"]) == 1
    assert (folder / "c").is_dir()


def folded(name):
    return unicodedata.normalize("NFC", name).casefold()


@pytest.mark.parametrize("words", [["-F", "png"], ["-F", "auto"], ["-d", "out"], []])
@pytest.mark.parametrize(
    "names",
    [
        ("LOGO.webp", "logo.webp"),
        ("LOGO.webp", "logo.png"),
        ("logo.png", "LOGO.PNG", "Logo.Png"),
        ("straße.png", "STRASSE.png"),
        ("\u00c4.png", "a\u0308.png", "A\u0308.png"),
    ],
    ids=" ".join,
)
def test_names_that_differ_in_case_alone(tmp_path, monkeypatch, capsys, names, words):
    monkeypatch.chdir(tmp_path)
    for name in names:
        kind = name.rpartition(".")[2].lower()
        Image.new("RGB", (3, 3), "red").save(tmp_path / name, kind)
    if len(list(tmp_path.iterdir())) < len(names):
        pytest.skip("the file system ignores case")
    found = {}
    for inputs in itertools.permutations(names):
        found = written(capsys, *inputs, "-f", *words)
        outputs = [folded(output) for output in found.values()]
        assert len(set(outputs)) == len(names)
        assert not {*outputs} & {folded(name) for name in names} or "-d" in words
        again = written(capsys, *names, "-f", *words)
        assert again == found  # whatever the order


def test_folders_that_differ_in_case_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("in/X", "in/x"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 3), "red").save(tmp_path / folder / "a.png")
    if len(list((tmp_path / "in").iterdir())) < 2:
        pytest.skip("the file system ignores case")
    for _ in range(2):  # the folders exist the second time
        assert written(capsys, "-r", "in", "-d", "out", "-f") == {
            "in/X/a.png": "out/X/a.png",
            "in/x/a.png": "out/x/a.2.png",
        }
    # Beside the inputs the folders are different ones.
    assert written(capsys, "-r", "in") == {
        "in/X/a.png": "in/X/a_compressed.png",
        "in/x/a.png": "in/x/a_compressed.png",
    }
