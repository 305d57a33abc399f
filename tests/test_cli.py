"""The program: its lines, its exit codes, and that nothing is ever lost or left over."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import hostile
import numpy as np
import PIL.Image
import pytest
from PIL import Image

from kmeans_c import cli
from kmeans_c._version import __version__
from kmeans_c.command import batch

ROOT = Path(cli.__file__).parents[1]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from kmeans_c.cli import main; "


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with image.jpg and photo.png in it."""
    (tmp_path / "image.jpg").write_bytes(hostile.file_of(hostile.photo(), "jpeg", quality=95))
    (tmp_path / "photo.png").write_bytes(hostile.file_of(hostile.photo(), "png"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, capfd):
    """Run the program in this process: its exit code and the lines on both streams."""

    def call(*arguments):
        try:
            code = cli.main(["-t1", *map(os.fspath, arguments)])
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return code, out.splitlines(), err.splitlines()

    return call


def command(*arguments, before="", python=()):
    """The command line of a new process, which may do something before it runs the program."""
    code = START + f"{before}\nsys.exit(main(['-t1', *sys.argv[1:]]))"
    return [sys.executable, *python, "-c", code, *map(os.fspath, arguments)]


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def colors(path):
    with Image.open(path) as image:
        return len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


class TestLines:
    def test_no_arguments(self, folder, run):
        code, out, err = run()
        assert (code, err) == (0, [])
        assert names(folder) == ["image.jpg", "image_compressed.jpg", "photo.png"]
        before, after = ((folder / f"image{x}.jpg").stat().st_size for x in ("", "_compressed"))
        (line,) = out
        assert line.startswith("image.jpg -> image_compressed.jpg: ")
        assert f"{colors('image.jpg')} -> 16 colours" in line
        assert f"{before} -> {after} bytes ({100 * (after / before - 1):+.1f} %)" in line
        assert re.search(
            r", JPEG quality \d\d 4:[42]:[420], \d+\.\d % of the pixels show their own colour, "
            r"PSNR \d\d\.\d dB, \d+\.\d\d s",
            line,
        )
        assert after <= 0.8 * before

    def test_jpeg_says_what_holds_the_palette(self, run):
        _, (line,), _ = run()
        target = re.search(r"; -o (image_compressed\.png) holds exactly the 16$", line)[1]
        run("-o", target)
        assert colors(target) == 16

    def test_larger_result_says_so(self, run):
        run("photo.png", "-o", "few.png", "-k5")
        _, (line,), _ = run("few.png", "-o", "few.bmp", "--allow-larger")
        assert re.search(
            r"\(\+\d+\.\d %\), lossless, indices kept, \d+\.\d\d s; larger than the input, fewer",
            line,
        )

    def test_nobody_is_told_to_go_below_two_colours(self, run):
        run("photo.png", "-o", "two.png", "-k2")
        _, (line,), _ = run("two.png", "-o", "two.bmp", "--allow-larger")
        assert line.endswith("larger than the input")

    def test_nothing_larger_is_written_unasked(self, folder, run):
        run("photo.png", "-o", "few.png", "-k5")
        size = (folder / "few.png").stat().st_size
        code, (line,), err = run("few.png", "-o", "few.bmp")
        assert (code, err) == (0, [])
        pattern = (
            r"few\.png: not written: few\.bmp would be (\d+) bytes, "
            rf"few\.png of {size} is kept \(--allow-larger\)"
        )
        assert int(re.fullmatch(pattern, line)[1]) > size
        assert not (folder / "few.bmp").exists()
        assert run("few.png", "-o", "few.bmp", "--strict")[0] == 98

    def test_the_input_is_the_output_where_nothing_gets_smaller(self, folder, run):
        run("photo.png", "-o", "few.png", "-k5", "-O4")
        code, (line,), _ = run("few.png", "-O0")
        size = (folder / "few.png").stat().st_size
        assert code == 0
        assert f"few.png -> few_compressed.png: kept as it is, {size} bytes: 5 colours" in line
        assert (folder / "few_compressed.png").read_bytes() == (folder / "few.png").read_bytes()

    def test_a_wrong_command_is_one_line(self, run):
        for arguments in (["-k", "0"], ["-k", "x"], ["--nope"], ["-i", "-1"]):
            code, output, errors = run(*arguments)
            assert (code, output, len(errors)) == (2, [], 1)
            assert errors[0].startswith("kmeans-c: ")

    def test_frames_are_mentioned(self, run):
        frames = [Image.fromarray(hostile.photo(seed=seed)) for seed in range(3)]
        frames[0].save("a.gif", save_all=True, append_images=frames[1:])
        _, (line,), _ = run("a.gif", "-o", "a.jpg", "--allow-larger", "--first")
        assert "; first of 3 frames" in line
        _, (line,), _ = run("a.gif")
        assert "; 3 frames" in line
        with Image.open("a_compressed.gif") as image:
            assert image.n_frames == 3

    def test_quiet(self, run):
        assert run("-q", "photo.png") == (0, [], [])
        assert run("-q", "nothing.png") == (
            1,
            [],
            ["kmeans-c: nothing.png: No such file or directory"],
        )

    def test_json(self, folder, run):
        code, out, err = run("--json", "photo.png", "nothing.png", "image.jpg")
        first, second, third, totals = map(json.loads, out)
        assert code == 1
        assert err == ["kmeans-c: nothing.png: No such file or directory"]
        assert (first["input"], first["output"]) == ("photo.png", "photo_compressed.png")
        assert first["bytes_after"] == (folder / "photo_compressed.png").stat().st_size
        assert second == {
            "input": "nothing.png",
            "output": "nothing_compressed.png",
            "error": "No such file or directory",
        }
        assert third["colors_after"] > third["palette_size"] == 16
        assert len(third["palette"]) == 16
        totals = totals["totals"]
        assert (totals["done"], totals["failed"], totals["kept"], totals["skipped"]) == (2, 1, 0, 0)
        assert totals["bytes_after"] == first["bytes_after"] + third["bytes_after"]

    def test_totals(self, folder, run):
        _, out, _ = run("photo.png", "image.jpg")
        sizes = [
            sum((folder / name).stat().st_size for name in pair)
            for pair in (
                ("photo.png", "image.jpg"),
                ("photo_compressed.png", "image_compressed.jpg"),
            )
        ]
        assert out[-1].startswith(f"2 files: {sizes[0]} -> {sizes[1]} bytes (")

    def test_version(self, run):
        assert run("--version") == run("-V") == (0, [f"kmeans-c {__version__}"], [])

    def test_help_names_every_option(self, run):
        code, out, _ = run("--help")
        text = "\n".join(out)
        assert code == 0
        for option in (
            "-o",
            "-k",
            "-i",
            "--init",
            "--seed",
            "-t",
            "-q",
            "--json",
            "-f",
            "--max-pixels",
            "-d",
            "-r",
            "-p",
            "-n",
            "-j",
            "-F",
            "-O",
            "--suffix",
            "--in-place",
            "--allow-larger",
            "--preview",
            "--effort",
            "-s",
            "--space",
            "--dither",
            "--nofs",
            "--palette",
            "--shared-palette",
            "--keep",
            "--save-palette",
            "--importance",
            "--per-frame",
            "--lossy",
            "--metadata",
            "--icc",
            "-v",
            "--strict",
            "--completion",
        ):
            assert re.search(rf"^  (-., )?{option}\b", text, re.MULTILINE), option


class TestOptions:
    def test_colors(self, run):
        run("photo.png", "-o", "a.png", "--colors", "7")
        assert colors("a.png") == 7

    @pytest.mark.parametrize(
        "options",
        [
            ["--init", "random"],
            ["-i0"],
            ["--space=oklab"],
            ["--dither=fs"],
            ["--dither", "bayer:0.5"],
            ["--palette", "pico-8"],
            ["--palette=#fff,#c8102e"],
            ["--keep=#c8102e"],
            ["--lossy"],
            ["--lossy", "1"],
            ["-O0"],
        ],
    )
    def test_options_change_the_result(self, folder, run, options):
        run("photo.png", "-o", "a.png")
        run("photo.png", "-o", "b.png", *options)
        assert (folder / "a.png").read_bytes() != (folder / "b.png").read_bytes()

    def test_threads_do_not(self, folder, run):
        run("photo.png", "-o", "a.png")
        run("photo.png", "-o", "b.png", "-t2")
        assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()

    def test_limit_of_pixels(self, run, monkeypatch):
        monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
        assert run("photo.png", "--max-pixels=2399")[2] == [
            "kmeans-c: photo.png: image has 2400 pixels, limit is 2399 (--max-pixels)"
        ]
        Image.fromarray(hostile.photo()).save("a.webp")
        Image.fromarray(hostile.photo()).save("a.tif")
        assert run("a.webp", "a.tif", "--max-pixels=2400")[0] == 0
        assert PIL.Image.MAX_IMAGE_PIXELS == 10

    def test_output_folder(self, folder, run):
        (folder / "out").mkdir()
        assert run("image.jpg", "photo.png", "-o", "out")[0] == 0
        assert names(folder / "out") == ["image_compressed.jpg", "photo_compressed.png"]

    def test_output_file_of_another_format(self, folder, run):
        assert run("photo.png", "-o", "a.webp")[0] == 0
        assert (folder / "a.webp").read_bytes()[8:12] == b"WEBP"

    def test_force(self, folder, run):
        (folder / "photo_compressed.png").write_bytes(b"precious")
        code, out, err = run("photo.png")
        assert (code, out) == (1, [])
        assert err == [
            "kmeans-c: photo.png: photo_compressed.png: File exists (-f/--force replaces it)"
        ]
        assert (folder / "photo_compressed.png").read_bytes() == b"precious"
        assert run("photo.png", "-f")[0] == 0
        assert colors("photo_compressed.png") == 16

    def test_replacing_the_input(self, folder, run):
        assert run("photo.png", "-o", "photo.png", "-f")[0] == 0
        assert colors("photo.png") == 16
        assert names(folder) == ["image.jpg", "photo.png"]


class TestUsageErrors:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["-k0"], "-k/--colors: expected 1..256, got 0"),
            (["-k257"], "-k/--colors: expected 1..256, got 257"),
            (["-k", "many"], "-k/--colors: expected an integer, got 'many'"),
            (["-k2.5"], "-k/--colors: expected an integer, got '2.5'"),
            (["-k", "9" * 5000], "-k/--colors: expected an integer"),
            (["-i", "-1"], "-i/--iterations: expected at least 0, got -1"),
            (["--seed", "-1"], "--seed: expected at least 0, got -1"),
            (["-t0"], "-t/--threads: expected at least 1, got 0"),
            (["--max-pixels", "0"], "--max-pixels: expected at least 1, got 0"),
            (["--init", "best"], "--init: invalid choice"),
            (["-O7"], "-O/--optimize: expected 0..6, got 7"),
            (["--lossy=-1"], "--lossy: expected 0..20, got -1"),
            (["--lossy=x"], "--lossy: expected a number, got 'x'"),
            (["--lossy", "--dither=fs", "photo.png"], "--lossy: would remove the pattern"),
            (["-F", "heic"], "-F/--format: expected one of png, jpeg"),
            (["-F", "auto", "photo.png", "-o", "a.png"], "-F/--format auto: chooses the ending"),
            (["-s12"], "-s/--speed: expected 1..11, got 12"),
            (["-s3", "--effort=fast"], "not allowed with"),
            (["--dither=noise"], "--dither: expected one of fs, nofs, none"),
            (["--dither=fs:2"], "--dither: expected 0..1, got 2"),
            (["--palette=nothing"], "--palette: name: expected one of black-and-white"),
            (["--palette=#12"], "--palette: color: expected #rgb"),
            (["--keep=#12"], "--keep: expected #rgb"),
            (["--metadata=all"], "--metadata: invalid choice"),
            (["-j0"], "-j/--jobs: expected 1..1024, got 0"),
            (["--in-place", "-o", "a.png"], "not allowed with"),
            (["--in-place", "scan.ppm"], "--in-place: scan.ppm is of no format"),
            (["--in-place", "-F", "png", "photo.png"], "--in-place: keeps the names"),
            (["--suffix=a/b", "photo.png"], "--suffix: expected a part of a name, got a/b"),
            (["-d", "image.jpg", "photo.png"], "-d/--output-dir: expected a folder, got image.jpg"),
            (["-", "photo.png"], "-: expected no other input, got 2"),
            (["-", "--in-place"], "-: is no file"),
            (["-", "-o", "."], "-o/--output: expected one of .png"),
            (["image.jpg", "photo.png", "--preview=a.png"], "--preview: expected one input, got 2"),
            (["photo.png", "--preview=photo.png"], "photo.png is an input or an output as well"),
            (["photo.png", "--save-palette=a.xyz"], "--save-palette: expected a name that ends"),
            (["image.jpg", "photo.png", "--save-palette=a.hex"], "expected one input, got 2"),
            (["--shared-palette", "--icc=keep"], "--shared-palette: needs all colours in one"),
            (["--shared-palette", "-"], "--shared-palette: reads its inputs twice"),
            (["--nonsense"], "--nonsense"),
            (["--col", "3"], "--col"),
            (["-q", "--json"], "not allowed with"),
            (["-o"], "-o/--output: expected one argument"),
            (["-o", "a.heic"], "-o/--output: expected one of .png"),
            (["-o", "a"], "-o/--output: expected one of .png"),
            (["-o", ""], "-o/--output: expected one of .png"),
            (["image.jpg", "photo.png", "-o", "a.png"], "expected an existing folder for 2 inputs"),
            (
                ["image.jpg", "photo.png", "-o", "nowhere"],
                "expected an existing folder for 2 inputs",
            ),
            (["photo.png", "./photo.png"], "would both be written to"),
            (["photo.png", "-o", "photo.png"], "photo.png: is the input itself"),
            (["photo.png", "-o", "./photo.png"], "is the input itself"),
        ],
    )
    def test_nothing_is_touched(self, folder, run, arguments, reason):
        before = {name: (folder / name).read_bytes() for name in names(folder)}
        code, out, err = run(*arguments)
        assert (code, out) == (2, [])
        assert reason in err[-1]
        assert err[-1].startswith("kmeans-c: ")
        assert {name: (folder / name).read_bytes() for name in names(folder)} == before

    def test_two_folders_into_one(self, folder, run):
        for name in ("a", "b", "out"):
            (folder / name).mkdir()
            (folder / name / "x.png").write_bytes((folder / "photo.png").read_bytes())
        code, out, _ = run("b/x.png", "a/x.png", "-o", "out")
        assert code == 0
        assert out[0].endswith("; named so because out/x_compressed.png is the output of a/x.png")
        assert names(folder / "out") == ["x.2_compressed.png", "x.png", "x_compressed.png"]

    @linux
    @pytest.mark.parametrize("link", [os.link, os.symlink])
    def test_input_in_disguise(self, folder, run, link):
        link("photo.png", "other.png")
        before = (folder / "photo.png").read_bytes()
        code, _, err = run("photo.png", "-o", "other.png")
        assert (code, err) == (
            2,
            ["kmeans-c: other.png: is the input itself (-f/--force replaces it)"],
        )
        assert (folder / "photo.png").read_bytes() == before


class TestFailures:
    @pytest.mark.parametrize("kind", hostile.not_images())
    def test_not_an_image(self, folder, run, kind):
        (folder / "a.jpg").write_bytes(hostile.not_images()[kind])
        code, out, err = run("a.jpg")
        assert (code, out) == (1, [])
        assert len(err) == 1
        assert re.match(r"kmeans-c: a\.jpg: .", err[0])
        assert names(folder) == ["a.jpg", "image.jpg", "photo.png"]

    @pytest.mark.parametrize("kind", hostile.bombs())
    def test_bomb(self, folder, run, kind):
        (folder / "a.jpg").write_bytes(hostile.bombs()[kind])
        code, out, err = run("a.jpg")
        assert (code, out, len(err)) == (1, [], 1)
        assert re.search("limit", err[0])
        assert names(folder) == ["a.jpg", "image.jpg", "photo.png"]

    @pytest.mark.parametrize("kind", hostile.good_files())
    @pytest.mark.parametrize("percent", [10, 50, 85])
    def test_file_cut_short(self, folder, run, kind, percent):
        data = hostile.good_files()[kind]
        (folder / "a.png").write_bytes(data[: len(data) * percent // 100])
        code, out, err = run("a.png")
        assert (code, out, len(err)) == (1, [], 1)
        assert names(folder) == ["a.png", "image.jpg", "photo.png"]

    def test_other_files_are_done(self, folder, run):
        (folder / "a.jpg").write_bytes(b"?")
        code, out, err = run("a.jpg", "photo.png", "nothing.jpg", folder, "image.jpg")
        assert code == 1
        assert [line.split(" ->")[0] for line in out[:-1]] == ["photo.png", "image.jpg"]
        assert "3 failed" in out[-1]
        assert err == [
            "kmeans-c: a.jpg: not a supported image (PNG, JPEG, WebP, GIF, BMP, TIFF or PPM)",
            "kmeans-c: nothing.jpg: No such file or directory",
            f"kmeans-c: {folder}: Is a directory (-r/--recursive goes through it)",
        ]

    @linux
    def test_fifo_and_device(self, run):
        os.mkfifo("a.jpg")
        code, _, err = run("a.jpg", "/dev/zero", "-o", ".")
        assert (code, err) == (
            1,
            [
                "kmeans-c: a.jpg: Not a regular file but a FIFO",
                "kmeans-c: /dev/zero: Not a regular file but a device",
            ],
        )

    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            ("nowhere/a.png", "nowhere: No such file or directory"),
            ("image.jpg/a.png", "image.jpg/a.png: Not a directory"),
            ("x" * 252 + ".png", "File name too long"),
            ("link.png", "link.png: Not a regular file but a symbolic link"),
        ],
    )
    @linux
    def test_output_that_cannot_be(self, folder, run, target, reason):
        (folder / "link.png").symlink_to("image.jpg")
        code, out, err = run("photo.png", "-o", target, "-f")
        assert (code, out, len(err)) == (1, [], 1)
        assert err[0].startswith("kmeans-c: photo.png: ")
        assert err[0].endswith(reason)

    def test_transparency_into_jpeg(self, run):
        Image.new("RGBA", (4, 4)).save("a.png")
        code, _, err = run("a.png", "-o", "a.jpg")
        assert (code, err) == (
            1,
            ["kmeans-c: a.png: format: jpeg holds no transparency; png, webp and tiff do"],
        )

    def test_libraries_are_kept_quiet(self, folder, run):
        """Libtiff writes to descriptor 2, Pillow warns and logs; none of it is ours."""
        data = bytearray(hostile.file_of(hostile.photo(), "tiff", compression="tiff_adobe_deflate"))
        middle = bytes(data).index(b"\x78") + 40
        data[middle : middle + 30] = b"\xff" * 30
        (folder / "a.tif").write_bytes(data)
        samples = bytearray(hostile.tiff(4, 4, 8, b"\0" * 16))
        samples[samples.index(b"\x15\x01\x03\0\x01\0\0\0\x01") + 8] = 200  # samples per pixel
        (folder / "b.tif").write_bytes(samples)
        code, _, err = run("a.tif", "b.tif")
        assert code == 1
        assert [line.split(":")[1] for line in err] == [" a.tif", " b.tif"]

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (MemoryError(), "not enough memory"),
            (AttributeError("oops"), "unexpected AttributeError: oops (--debug shows more)"),
            (
                RecursionError("two\nlines"),
                r"unexpected RecursionError: two\nlines (--debug shows more)",
            ),
        ],
    )
    def test_errors_of_our_own_are_one_line(self, run, monkeypatch, error, reason):
        def fail(*arguments, **options):
            raise error

        monkeypatch.setattr(batch, "compress", fail)
        assert run("photo.png") == (1, [], [f"kmeans-c: photo.png: {reason}"])
        _, _, err = run("photo.png", "--debug")
        assert "Traceback (most recent call last):" in err

    @linux
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            (b"a b'\".png", "a b'\".png"),
            (b"new\nline.png", r"new\nline.png"),
            (b"caf\xe9.png", r"caf\xe9.png"),
            (b"\x1b[31m.png", r"\x1b[31m.png"),
            ("\N{GRINNING FACE}.png".encode(), "\N{GRINNING FACE}.png"),
            (b"-f.png", "-f.png"),
        ],
    )
    def test_any_name(self, run, name, shown):
        Path("photo.png").rename(os.fsdecode(name))
        code, out, err = run("--", os.fsdecode(name))
        assert (code, err, len(out)) == (0, [], 1)
        assert out[0].startswith(shown + " -> " + shown[:-4] + "_compressed.png: ")
        code, out, err = run("--json", "--", os.fsdecode(name))
        assert code == 1
        assert json.loads(out[0])["input"] == os.fsdecode(name)
        assert len(err) == 1


@linux
class TestProcesses:
    @pytest.mark.parametrize("python", [["-I", "-OO"], ["-W", "error", "-X", "dev"]])
    @pytest.mark.usefixtures("folder")
    def test_any_interpreter_option(self, python):
        done = subprocess.run(
            command("photo.png", "nothing.png", python=python), capture_output=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr == b"kmeans-c: nothing.png: No such file or directory\n"
        assert done.stdout.count(b"\n") == 1

    def test_as_a_module(self, folder):
        done = subprocess.run(
            [sys.executable, "-m", "kmeans_c", "-q"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (folder / "image_compressed.jpg").exists()

    @pytest.mark.bare
    def test_poor_environment(self, folder):
        (folder / "photo.png").rename("phötö\udce9.png")
        environment = {"LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = subprocess.run(
            command("phötö\udce9.png"), env=environment, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.startswith(rb"ph\xf6t\xf6\xe9.png -> ph\xf6t\xf6\xe9_compressed.png: ")

    def test_current_folder_is_gone(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "photo.png").write_bytes(hostile.file_of(hostile.photo(), "png"))
        before = f"import os; os.chdir({str(tmp_path / 'a')!r}); os.rmdir({str(tmp_path / 'a')!r})"
        done = subprocess.run(
            command("photo.png", tmp_path / "photo.png", before=before),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == b"kmeans-c: photo.png: No such file or directory\n"
        assert done.stdout.count(b"\n") == 1

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_closed_streams(self, folder, closed):
        arguments = command("nothing.png", "image.jpg", "photo.png")
        done = subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", *arguments], capture_output=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr in (b"", b"kmeans-c: nothing.png: No such file or directory\n")
        assert colors("photo_compressed.png") == 16
        assert len(names(folder)) == 4

    @pytest.mark.usefixtures("folder")
    def test_reader_of_the_output_leaves(self):
        end, start = os.pipe()
        os.close(end)
        with os.fdopen(start, "wb") as pipe:
            done = subprocess.run(
                command("image.jpg", "photo.png"), stdout=pipe, stderr=subprocess.PIPE, check=False
            )
        assert (done.returncode, done.stderr) == (0, b"")
        assert colors("photo_compressed.png") == 16

    @pytest.mark.usefixtures("folder")
    def test_output_is_a_full_disk(self):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                command("photo.png"), stdout=full, stderr=subprocess.PIPE, check=False
            )
        assert done.returncode == 1
        assert done.stderr == b"kmeans-c: standard output: No space left on device\n"
        assert colors("photo_compressed.png") == 16

    def test_full_disk(self, folder):
        (folder / "photo_compressed.bmp").write_bytes(b"precious")
        before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))"
        done = subprocess.run(
            command("photo.png", "-f", "-o", "photo_compressed.bmp", before=before),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == b"kmeans-c: photo.png: photo_compressed.bmp: File too large\n"
        assert (folder / "photo_compressed.bmp").read_bytes() == b"precious"
        assert len(names(folder)) == 3

    def test_what_others_own(self, folder):
        """As a user who may neither read one file nor write to the other's folder."""
        (folder / "image.jpg").chmod(0o600)
        (folder / "photo.png").chmod(0o644)
        folder.chmod(0o555)
        before = (
            "import os\n"
            "if os.getuid() == 0:\n"
            "    main(['-q', 'photo.png'])\n"  # imports what the other user may not even read
            "    os.remove('photo_compressed.png')\n"
            "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "else: os.chmod('image.jpg', 0)"
        )
        try:
            done = subprocess.run(
                command("image.jpg", "photo.png", before=before), capture_output=True, check=False
            )
        finally:
            folder.chmod(0o755)
        assert done.returncode == 1
        assert done.stderr.decode().splitlines() == [
            "kmeans-c: image.jpg: Permission denied",
            "kmeans-c: photo.png: photo_compressed.png: Permission denied",
        ]
        assert names(folder) == ["image.jpg", "photo.png"]

    def test_no_program_is_ever_started(self, folder):
        for number, data in enumerate(hostile.not_images().values()):
            (folder / f"{number}.jpg").write_bytes(data)
        before = (
            "import os\n"
            "def hook(event, arguments):\n"
            "    if event == 'subprocess.Popen' or event.startswith(\n"
            "        ('os.system', 'os.exec', 'os.fork', 'os.posix_spawn', 'os.spawn', 'pty')):\n"
            "        os._exit(99)\n"
            "sys.addaudithook(hook)"
        )
        done = subprocess.run(
            command(*folder.glob("?.jpg"), *folder.glob("??.jpg"), before=before),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.count(b"\n") == len(hostile.not_images())

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_ended_at_a_random_time(self, folder, sent):
        sources = [f"{number}.png" for number in range(20)]
        old = hostile.file_of(np.zeros((3, 3, 3), np.uint8), "png")
        new = hostile.file_of(hostile.photo(150, 150), "png")
        for source in sources:
            (folder / source).write_bytes(new)
            (folder / source.replace(".png", "_compressed.png")).write_bytes(old)
        process = subprocess.Popen(
            command("-f", "-k40", *sources), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(random.random() * 0.1)
        start = time.monotonic()
        process.send_signal(sent)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - start < 10  # a hang, not a busy machine
        expected = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[sent]
        assert err == b""
        assert process.returncode in (expected, 0, -sent)  # at work, done, leaving
        left = [name for name in names(folder) if name.startswith(".")]
        assert len(left) <= (sent == signal.SIGKILL)
        for source in sources:
            target = folder / source.replace(".png", "_compressed.png")
            assert target.read_bytes() == old or colors(target) == 40


def test_signals_are_left_alone_outside_the_main_thread(folder):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["-q", "photo.png"])))
    thread.start()
    thread.join()
    assert codes == [0]


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_handlers_are_put_back(run, number):
    before = signal.getsignal(number)
    run("photo.png")
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    "words",
    [
        ["--suffix=--"],
        ["-k--"],
        ["--palette", "pico-8", "--keep", "red"],
        ["--palette", "pico-8", "-k", "4"],
        ["-k", "auto", "-Q", "5"],
        ["-k", "auto", "--target-size", "3K"],
        ["--in-place", "--suffix", "x"],
        ["-o", "x.png", "--jpeg-quality", "50"],
        ["-F", "webp", "--subsampling", "4:2:0"],
        ["-F", "auto", "--jpeg-quality", "50"],
        ["--jpeg-quality", "50"],
        ["-o", "x.jpg", "--jpeg-quality", "50", "--target-size", "3K"],
        ["--importance", "mask.png", "-Q", "65-80"],
        ["--shared-palette", "-Q", "65-80"],
        ["--shared-palette", "--target-size", "3K"],
    ],
)
def test_contradictions_touch_nothing(run, folder, words):
    before = names(folder)
    code, out, err = run("photo.png", *words)
    assert (code, out, len(err)) == (2, [], 1)
    assert names(folder) == before


def test_who_wants_no_metadata_gets_none(run, folder):
    image = Image.fromarray(hostile.photo(90, 120))
    image.save(folder / "told.jpg", quality=1, optimize=True, comment=b"where I live")
    for policy in ("none", "safe"):
        code, (line,), _ = run("told.jpg", "--metadata", policy, "-k256", "-f")
        size = (folder / "told_compressed.jpg").stat().st_size
        assert code == 0
        assert f"kept without its metadata, {size} bytes: " in line
        assert b"where I live" not in (folder / "told_compressed.jpg").read_bytes()
    code, (line,), _ = run("told.jpg", "-k256", "-f", "--metadata", "keep")
    assert "kept as it is" in line
    assert (folder / "told_compressed.jpg").read_bytes() == (folder / "told.jpg").read_bytes()
