"""Threads, forks, signals and quotas: a library never kills or hangs its host."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import kmeans_c
from kmeans_c import threads
from kmeans_c._kernels import machine

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def run(code, timeout=60, **options):
    """Run Python code in a process of its own; its output."""
    done = subprocess.run(
        # -P: not the sources in the current folder, but what is installed.
        [sys.executable, "-P", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=timeout, check=False, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_default_is_what_the_machine_allows():
    assert 1 <= threads.thread_count(None) <= len(os.sched_getaffinity(0))


def test_a_number_is_honoured():
    assert [threads.thread_count(n) for n in (1, 2, 3, np.int64(2))] == [1, 2, 3, 2]
    assert threads.thread_count(10**6) == threads.MAX_THREADS


def test_omp_num_threads_and_affinity_lower_the_default():
    code = "from kmeans_c import threads; print(threads.thread_count())"
    assert run(code, env={**os.environ, "OMP_NUM_THREADS": "1"}) == "1"
    assert run("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + code) == "1"


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "max 100000"}, 64),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "300000 100000"}, 1),
        ("0::/host/path\n", {"cpu.max": "400000 100000"}, 4),
        (
            "1:cpu,cpuacct:/x\n",
            {"cpu/x/cpu.cfs_quota_us": "200000\n", "cpu/x/cpu.cfs_period_us": "100000\n"},
            2,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("3:memory:/x\n", {"cpu.max": "100000 100000"}, 64),
        ("garbage\n\n::\n", {"cpu.max": "what 1"}, 64),
        ("0::/../..\n", {"cpu.max": "100000 0"}, 64),
    ],
)  # fmt: skip
def test_cpu_quota_is_read(tmp_path, membership, files, expected):
    (tmp_path / "self").write_text(membership)
    for name, text in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert threads.read_quota(tmp_path / "self", tmp_path / "cgroup") == expected


def test_no_cgroups_is_no_quota(tmp_path):
    assert threads.read_quota(tmp_path / "none", tmp_path) == threads.MAX_THREADS


def test_a_level_can_be_forced_and_is_clamped(monkeypatch):
    for level, name in enumerate(threads.SIMD_LEVELS):
        monkeypatch.setenv(threads.SIMD_VARIABLE, name)
        assert threads.simd_level() == min(level, machine.cpu_level())
    monkeypatch.setenv(threads.SIMD_VARIABLE, "")
    assert threads.simd_level() == machine.cpu_level()


def test_an_unknown_level_is_an_error(monkeypatch):
    monkeypatch.setenv(threads.SIMD_VARIABLE, "sse9")
    with pytest.raises(
        ValueError, match="KMEANS_C_SIMD: expected one of baseline, avx2, avx512, got 'sse9'"
    ):
        kmeans_c.get_centroid_indices([[1.0]], [[1.0]])


WORK = """
    import numpy as np, kmeans_c
    X = np.random.default_rng(0).standard_normal((200_000, 3))
    def work(n_threads=2):
        return kmeans_c.apply_k_means(X, X[:16], 3, n_threads=n_threads)[0].tobytes()
"""


@needs_fork
def test_a_fork_after_a_parallel_region_can_work_in_parallel():
    output = run(
        WORK
        + """
    import os, signal
    expected = work()
    for _ in range(5):
        child = os.fork()
        if not child:
            signal.alarm(20)
            os._exit(0 if work() == expected else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert work() == expected
    print("done")
    """
    )
    assert output == "done"


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_pool_gives_the_same_bytes():
    X = np.random.default_rng(0).integers(0, 256, (50_000, 3)).astype(np.uint8)
    expected = kmeans_c.apply_k_means(X, X[:8], 2, n_threads=2)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for got in pool.starmap_async(kmeans_c.apply_k_means, [(X, X[:8], 2)] * 4).get(timeout=60):
            assert got[0].tobytes() == expected[0].tobytes()
            assert got[1].tobytes() == expected[1].tobytes()


def test_eight_python_threads_at_once():
    X = np.random.default_rng(0).integers(0, 256, (20_000, 3)).astype(np.uint8)
    expected = kmeans_c.apply_k_means(X, X[:9], 3, n_threads=1)[0].tobytes()
    wrong = []

    def work(number):
        for _ in range(6):
            got = kmeans_c.apply_k_means(X, X[:9], 3, n_threads=1 + number % 3)[0]
            if got.tobytes() != expected:
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_gil_is_released():
    """A thread that only counts goes on counting while another is in a kernel."""
    X = np.random.default_rng(0).standard_normal((400_000, 3))
    counts, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counts[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    before = counts[0]
    kmeans_c.get_centroid_indices(X, X[:256], n_threads=1)
    after = counts[0]
    stop.set()
    counter.join()
    assert after > before


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm on this system")
def test_an_interrupt_ends_a_call_that_would_take_minutes():
    output = run("""
    import signal, time, numpy as np, kmeans_c
    X = np.random.default_rng(0).standard_normal((1_000_000, 8))
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    kmeans_c.get_centroid_indices(X[:9], X[:3])
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        kmeans_c.apply_k_means(X, X[:2000], 10**9, n_threads=1)
    except KeyboardInterrupt:
        print("interrupted", kmeans_c.get_centroid_indices([[1.0], [2.0]], [[2.0], [1.0]]).tolist())
    """)
    assert output == "interrupted [1, 0]"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_NPROC as on Linux")
@pytest.mark.skipif(
    hasattr(os, "getuid") and os.getuid() != 0, reason="needs a user id to change to"
)
@pytest.mark.bare
def test_fewer_threads_where_the_system_starts_no_more(tmp_path):
    # libgomp alone would end the process here, with status 1 and a line on stderr.
    output = run(
        WORK
        + """
    import os, resource
    from kmeans_c import threads
    expected = work(1)
    resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
    os.setuid(65534)
    print(threads.thread_count(16) < 16, work(16) == expected)
    """,
        cwd=tmp_path,
    )
    assert output == "True True"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS as on Linux")
@pytest.mark.bare
def test_fewer_threads_where_there_is_no_memory_for_their_stacks():
    # The second call comes from another Python thread, with its own team, when memory is gone.
    output = run(
        WORK
        + """
    import atexit, resource, threading
    atexit.register(print, "done")
    expected = work(8)
    size = next(line for line in open("/proc/self/status") if line.startswith("VmSize"))
    limit = (int(size.split()[1]) + 64 * 1024) << 10
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    def again():
        print(work(8) == expected)
    thread = threading.Thread(target=again)
    thread.start()
    thread.join()
    """
    )
    assert output == "True\ndone"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS as on Linux")
@pytest.mark.bare
def test_the_stacks_that_openmp_is_told_to_make_are_reckoned_with():
    output = run("import resource\nresource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))\n"
        + textwrap.dedent(WORK) + "print(work(2) == work(1))",
        env={**os.environ, "OMP_STACKSIZE": "1G", "OPENBLAS_NUM_THREADS": "1"})  # fmt: skip
    assert output == "True"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 0),
        ("512", 512 << 10),
        (" 2 M ", 2 << 20),
        ("1g", 1 << 30),
        ("7b", 1 << 15),
        ("x", 0),
        ("9" * 30, 0),
    ],
)
def test_stack_sizes_are_read_as_openmp_reads_them(monkeypatch, text, size):
    monkeypatch.setenv("OMP_STACKSIZE", text)
    assert threads._stack_size() == size


def test_import_starts_no_thread_and_pulls_in_nothing_heavy():
    output = run("""
    import sys, threading, numpy, PIL.Image
    before = set(sys.modules)
    import kmeans_c
    heavy = {"argparse", "subprocess", "multiprocessing", "asyncio", "sklearn", "matplotlib",
             "PIL.ImageCms"}
    print(sorted(heavy & (set(sys.modules) - before)), threading.active_count())
    """)
    assert output == "[] 1"


@pytest.mark.parametrize("given", [None, "5"])
def test_what_the_environment_says_of_spinning_stands(given, tmp_path):
    """The variable is there only while OpenMP's runtime is loaded."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if given:
        environment["GOMP_SPINCOUNT"] = given
    code = "import os, kmeans_c; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(given)
