"""A forked process is what `python -m` would have been, and lives and dies with whoever asked for it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maebook import forkserver

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")

MODULE = """
import json, os, sys, time
import mae_lib.folders
print(json.dumps({
    "argv": sys.argv, "name": __name__, "folder": os.getcwd(), "said": os.environ["SAID"],
    "input": sys.stdin.readline(), "parent": os.getppid(),
    "decimal": "decimal" in sys.modules, "mae_lib": mae_lib.folders.__file__,
}), flush=True)
print("to stderr", file=sys.stderr, flush=True)
if "wait" in sys.argv:
    time.sleep(60)
if "child" in sys.argv:
    import subprocess
    print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
    time.sleep(60)
sys.exit(7)
"""


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv(forkserver.ADDRESS, "")  # put back after the test
    monkeypatch.setenv(forkserver.THREADS, "1")
    (tmp_path / "a_module.py").write_text(MODULE)
    started = forkserver.start(("decimal", "no_such_library"))
    while not os.path.exists(os.environ[forkserver.ADDRESS]):
        time.sleep(0.01)
    yield started
    started.stdin.close()
    started.wait(20)


def attend():
    """Whoever runs the tests in the background ignores interrupts, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ask(folder, *arguments, **settings):
    return subprocess.Popen(
        [sys.executable, "-m", "maebook.forkserver", "a_module", *arguments],
        cwd=folder,
        env=os.environ
        | {"SAID": "this", "PYTHONPATH": os.pathsep.join([os.getcwd(), os.path.abspath("book")])}
        | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=attend,
    )


def begun(asked):
    """Send it a line, and read what it says of itself."""
    asked.stdin.write("a line\n")
    asked.stdin.flush()
    return json.loads(asked.stdout.readline())


def gone(process):
    for _ in range(500):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if b"\nState:\tZ" in Path(f"/proc/{process}/status").read_bytes():
            return True
        time.sleep(0.02)
    return False


def test_it_is_what_the_module_would_have_been(server, tmp_path):
    asked = ask(tmp_path, "one", "two words")
    out, error = asked.communicate("a line\n")
    found = json.loads(out)
    assert found["argv"][1:] == ["one", "two words"] and found["name"] == "__main__"
    assert (found["folder"], found["said"], found["input"]) == (str(tmp_path), "this", "a line\n")
    assert (asked.returncode, error) == (7, "to stderr\n")
    assert found["parent"] == server.pid and found["decimal"]


def test_without_a_server_or_with_more_threads_it_runs_by_itself(server, tmp_path):
    for settings in ({forkserver.THREADS: "2"}, {forkserver.ADDRESS: str(tmp_path / "nobody")}):
        asked = ask(tmp_path, **settings)
        out, _ = asked.communicate("a line\n")
        assert asked.returncode == 7 and json.loads(out)["parent"] == os.getpid()


def test_sources_are_read_anew(server, tmp_path):
    assert ask(tmp_path).communicate("\n")[0].count("mae_lib/folders.py") == 1
    package = tmp_path / "mae_lib"
    package.mkdir()
    for name in ("__init__.py", "folders.py"):
        (package / name).write_text(Path("mae_lib", name).read_text())
    out, _ = ask(tmp_path, PYTHONPATH=os.path.abspath("book")).communicate("\n")
    assert json.loads(out)["mae_lib"] == str(package / "folders.py")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_it_and_ends_both_alike(server, tmp_path, number):
    asked = ask(tmp_path, "wait")
    begun(asked)
    asked.send_signal(number)
    _, error = asked.communicate()
    assert asked.returncode == -number
    assert ("KeyboardInterrupt" in error) == (number == signal.SIGINT)


def test_who_is_killed_takes_it_along_with_all_that_it_started(server, tmp_path):
    asked = ask(tmp_path, "child")
    begun(asked)
    child = int(asked.stdout.readline())
    asked.kill()
    asked.communicate()
    assert gone(child)
    assert ask(tmp_path).communicate("\n")[0]  # the server goes on


def test_nothing_outlives_the_server(server, tmp_path):
    asked = ask(tmp_path, "child")
    begun(asked)
    child = int(asked.stdout.readline())
    folder = os.path.dirname(os.environ[forkserver.ADDRESS])
    server.stdin.close()
    _, error = asked.communicate()
    assert gone(child) and asked.returncode == 1 and "a_module: the process that forks others has ended" in error
    assert server.wait(20) == 0 and not os.path.exists(folder)


def test_who_leaves_in_the_middle_of_a_request_harms_nobody(server, tmp_path):
    import socket

    with socket.socket(socket.AF_UNIX) as rude:
        rude.connect(os.environ[forkserver.ADDRESS])
    with socket.socket(socket.AF_UNIX) as rude:
        rude.connect(os.environ[forkserver.ADDRESS])
        socket.send_fds(rude, [b"+"], [0, 1, 2])
        rude.sendall(b'{"argv": ')
    assert ask(tmp_path).communicate("\n")[0]


def test_a_server_that_ends_while_it_imports_is_done_without(monkeypatch, tmp_path):
    for name, value in ((forkserver.ADDRESS, ""), (forkserver.THREADS, "1"), ("PYTHONPATH", str(tmp_path))):
        monkeypatch.setenv(name, value)
    (tmp_path / "a_module.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import time; time.sleep(1); raise ImportError('broken')")
    started = forkserver.start(("broken",))
    while not os.path.exists(os.environ[forkserver.ADDRESS]):
        time.sleep(0.01)
    out, _ = ask(tmp_path).communicate("\n")  # before it breaks, and after
    assert started.wait(20) == 1 and json.loads(out)["parent"] == os.getpid()
    assert not Path(os.environ[forkserver.ADDRESS]).parent.exists(), "it leaves nothing behind"
    out, _ = ask(tmp_path).communicate("\n")
    assert json.loads(out)["parent"] == os.getpid()


def test_a_kernel_is_asked_for_in_the_same_way():
    from maebook.kernel import Kernel

    command = Kernel(connection_file="file.json").format_kernel_cmd(["--log-level=CRITICAL"])
    assert command[:4] == [sys.executable, "-m", "maebook.forkserver", "ipykernel_launcher"]
    assert command[-1] == "--log-level=CRITICAL"


@pytest.mark.parametrize(
    ("given", "started"),
    [
        (
            "{me} -Xfrozen_modules=off -m ipykernel_launcher -f f",
            "{me} -Xfrozen_modules=off -m maebook.forkserver ipykernel_launcher -f f",
        ),
        ("/another/python -m ipykernel_launcher -f f", "/another/python -m ipykernel_launcher -f f"),
        ("/a/wrapper -f f", "/a/wrapper -f f"),
    ],
)
def test_a_kernel_of_another_kind_is_started_as_it_says(given, started):
    from jupyter_client.kernelspec import KernelSpec

    from maebook.kernel import Kernel

    kernel = Kernel(connection_file="f")
    kernel._kernel_spec = KernelSpec(argv=given.format(me=sys.executable).split())
    assert kernel.format_kernel_cmd() == started.format(me=sys.executable).split()


def test_the_libraries_that_a_server_imports_start_no_thread(fork_server, forked, tmp_path):
    (tmp_path / "a_module.py").write_text("import os, sys; print(os.getppid(), {*sys.argv[1:]} <= {*sys.modules})")
    answer, _ = ask(tmp_path, *forkserver.LIBRARIES).communicate()  # it answers when it has imported them
    server = fork_server[0].pid
    assert answer == f"{server} True\n" and len(os.listdir(f"/proc/{server}/task")) == 1
