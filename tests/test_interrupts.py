"""Ctrl-C and SIGTERM end the command at once, whatever it is at, and leave nothing half-written.

KMEANS_C_INTERRUPTS sets how many processes each test interrupts; benchmarks/bench_interrupts.py
measures how long they take to end.
"""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from kmeans_c.weights import WEIGHTS_PER_CHUNK, as_importance

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")

N = int(os.environ.get("KMEANS_C_INTERRUPTS", "6"))
N_PIXELS = 1_000_000

# Seconds; the promise is 0.2 on an idle machine, and tests share one.
LATENCY = float(os.environ.get("KMEANS_C_INTERRUPTS_LATENCY", "5"))


def command(*words):
    # -P: the installed package, also where the current folder is a checkout.
    return [sys.executable, "-P", "-m", "kmeans_c", *map(str, words)]


def interrupted(words, after, sent, *, group=False):
    """Start the command, send a signal, and give its exit code, stderr and the seconds it took."""
    process = subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=group,
    )
    time.sleep(after)
    start = time.perf_counter()
    if group:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    process.wait(timeout=30)
    seconds = time.perf_counter() - start
    _, err = process.communicate(timeout=30)  # until the workers have closed it, too
    return process.returncode, err, seconds


def check(results, sent):
    for after, (code, err, seconds) in results:
        assert seconds < LATENCY, (after, code, seconds)
        if b"kmeans_c" + os.fsencode(os.sep) not in err and code in (1, -sent):
            continue  # within Python's own start, which a signal ends in its way
        assert code in (128 + sent, 0), (after, code, err)
        assert err == b""


def photo(n_pixels, seed=1):
    side = int(n_pixels**0.5)
    y, x = np.mgrid[:side, :side]
    waves = [128 + 100 * np.sin(x / (40 + 9 * c)) * np.cos(y / (31 + c)) for c in range(3)]
    noise = np.random.default_rng(seed).integers(-9, 10, (side, side, 3))
    return (np.stack(waves, 2) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupts")
    for number in range(4):
        Image.fromarray(photo(300_000, number)).save(folder / f"{number}.jpg")
    return folder


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [("0.jpg", "-F", "png"), ("-j2", "-r", ".", "-F", "png")])
def test_at_any_time(folder, tmp_path, monkeypatch, words, sent):
    monkeypatch.chdir(folder)
    rng = random.Random(5)
    results = []
    for number in range(N):
        after = rng.random() * 2
        out = tmp_path / f"out{number}"
        group = sent == signal.SIGINT  # as from a terminal
        results.append((after, interrupted([*words, "-d", out], after, sent, group=group)))
        assert not list(tmp_path.rglob(".kmeans-c-*"))
        for path in tmp_path.rglob("*.png"):
            with Image.open(path) as image:
                image.load()
    check(results, sent)


def test_with_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = photo(N_PIXELS)
    Image.fromarray(pixels).save("a.bmp")
    Image.fromarray(pixels[:, :, 0]).save("mask.bmp")
    rng = random.Random(6)
    results = []
    for _ in range(N):
        after = rng.random() * 2
        words = ["a.bmp", "-o", "b.png", "--importance", "mask.bmp", "-f"]
        results.append((after, interrupted(words, after, signal.SIGINT)))
    check(results, signal.SIGINT)


def test_a_signal_that_is_ignored_stays_so(folder, tmp_path):
    script = f"trap '' HUP; exec {sys.executable} -P -m kmeans_c {folder / '0.jpg'} -d {tmp_path}"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["0.jpg"]


def test_importing_the_package_sets_no_handler():
    code = (
        "import signal; before = [signal.getsignal(n) for n in (2, 15)]; import kmeans_c, "
        "kmeans_c.cli, kmeans_c.command.ending; "
        "assert before == [signal.getsignal(n) for n in (2, 15)]"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.uint8, np.int64, bool])
@pytest.mark.parametrize("order", ["C", "F"])
def test_weights_in_chunks_are_those_of_the_formula(rng, monkeypatch, kind, order):
    monkeypatch.setattr("kmeans_c.weights.WEIGHTS_PER_CHUNK", 64)
    assert WEIGHTS_PER_CHUNK >= 64
    for least in (0, 1):
        array = rng.integers(least, 9, (37, 53)).astype(kind)
        array = np.asarray(array, order=order)
        found = as_importance(array, array.shape)
        assert found.dtype == np.int64
        if array.dtype.kind == "f":
            expected = np.rint(array.astype(float) / float(array.max()) * 65536)
        else:
            expected = array.astype(object) * (65536 if array.min() == 0 else 1)
        assert np.array_equal(found, np.maximum(expected, 1))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal hangs up here")
def test_what_multiprocessing_starts_beside_the_workers_outlives_a_hangup(tmp_path):
    """It would be started again for the next worker, with a warning on stderr."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, time\n"
        "from kmeans_c.command import workers\n"
        "if __name__ == '__main__':\n"
        "    for _ in range(2):\n"
        "        assert len(list(workers.run(abs, range(4), 2))) == 4\n"
        "        from multiprocessing.resource_tracker import _resource_tracker as tracker\n"
        "        os.kill(tracker._pid, signal.SIGHUP)\n"
        "        time.sleep(0.1)\n"
        "        assert tracker._check_alive()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", script],
        capture_output=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_signals_to_all_processes_while_workers_start(folder, tmp_path, monkeypatch, name):
    sent = getattr(signal, name, None)
    if sent is None:
        pytest.skip("no such signal")
    monkeypatch.chdir(folder)
    rng = random.Random(8)
    results = []
    for number in range(N):
        after = 0.1 + rng.random() / 2
        words = ["-j2", "-r", ".", "-F", "png", "-d", tmp_path / f"out{number}"]
        results.append((after, interrupted(words, after, sent, group=True)))
    check(results, sent)


def test_no_module_is_loaded_before_the_handlers_but_those_of_the_start():
    """Until `install` is done, Ctrl-C ends the command in other ways."""
    code = (
        "import gc, os, sys, types; before = set(sys.modules); import kmeans_c.__main__; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        check=True,
        text=True,
    )
    own = "kmeans_c kmeans_c.__main__ kmeans_c._version kmeans_c.command kmeans_c.command.ending"
    assert done.stdout.split() == own.split()


@pytest.mark.parametrize("module", ["gc", "kmeans_c.command", "kmeans_c.command.ending", "main"])
def test_an_interrupt_while_the_command_loads_its_first_modules(module):
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt()); sys.modules.pop('gc', None)\n"
        "from kmeans_c.__main__ import main, ending\n"
        "def install(): raise KeyboardInterrupt\n"
        "ending.install = install\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
