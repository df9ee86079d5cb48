"""Processes that begin with their libraries imported: a server imports them once and forks a process for each request.

    python -m maebook.forkserver mae_lib pretrain --preset smoke     the same command, faster with a server

PyTorch, timm and torchvision take ten seconds of a core to import, and a book starts more than fifty processes: its
jobs and their kernels. `start` runs a server for as long as the caller lives, and $MAE_LIB_FORKSERVER names it.
Notable: a request has its own arguments, folder, environment and open files, and the modules of mae_lib and maebook are
read anew, so that an edited source counts. The process that asked stands for the forked one: a signal to it is passed
on, and when it is killed, so is the other. Without a server, or with more than one thread, everything runs as ever.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec

ADDRESS = "MAE_LIB_FORKSERVER"  # the environment variable that names the server's socket
THREADS = "OMP_NUM_THREADS"  # read by libraries when they load, so a server's processes share it
LIBRARIES = (  # those that take long, whoever uses them; one that is not installed is passed over
    *("torch", "torch._dynamo", "timm", "torchvision", "torchmetrics", "piq", "safetensors.torch"),
    *("sklearn.linear_model", "sklearn.manifold", "sklearn.neighbors", "seaborn", "networkx"),
    *("papermill", "nbclient", "ipykernel.kernelapp", "tqdm.auto"),
)
_SERVERS: list[subprocess.Popen] = []  # kept, since one that is forgotten closes its pipe
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def start(libraries: tuple[str, ...] = LIBRARIES) -> subprocess.Popen | None:
    """Start a server, which ends with this process; those that it starts find it. None elsewhere than on Linux."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # another system, or a container that does not let it be asked
        return None
    address = os.path.join(tempfile.mkdtemp(prefix="mae_lib_forkserver_"), "socket")
    os.environ[ADDRESS] = address
    # One thread, since a process that has others cannot be forked safely; a matplotlib that a kernel finds imported
    # must already know that it draws into a notebook.
    settings = {THREADS: "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    server = subprocess.Popen(
        [sys.executable, "-m", "maebook.forkserver", "--serve", address, *libraries],
        stdin=subprocess.PIPE,  # never written to: it closes when this process ends, however it ends
        env=os.environ | settings,
        start_new_session=True,
    )
    _SERVERS.append(server)
    return server


def hand_over(module: str, arguments: list[str]) -> int | None:
    """Have a server run `python -m module arguments`, wait, and give the exit status, negative for a signal's number.

    None where there is no server, or more threads are wanted than its processes have.
    """
    if ADDRESS not in os.environ or os.environ.get(THREADS) != "1":
        return None
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ[ADDRESS])
        except OSError:
            return None
        wanted = {"argv": [module, *arguments], "folder": os.getcwd(), "environment": dict(os.environ)}
        try:
            socket.send_fds(server, [b"+"], [0, 1, 2])
            server.sendall(json.dumps(wanted).encode() + b"\n")
            heard = server.recv(1)
        except OSError:
            heard = b""
        if not heard:  # it ended before it forked anything
            return None
        for number in _PASSED_ON:
            if signal.getsignal(number) != signal.SIG_IGN:  # as of a job in the background
                signal.signal(number, lambda number, _: server.send(bytes([number])))
        status = server.recv(4)
    if not status:
        print(f"{module}: the process that forks others has ended, and this one with it", file=sys.stderr)
        return 1
    return int.from_bytes(status, "big", signed=True)


class Server:
    """Imports libraries, then forks a process for whoever asks at `address`, until standard input ends."""

    def __init__(self, address: str, libraries: list[str]) -> None:
        self.address = address
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(address)
        self.listener.listen(128)  # who comes while libraries are imported waits
        try:
            for library in libraries:
                if find_spec(library.split(".")[0]):
                    import_module(library)
        except BaseException:  # one that breaks ends the server, which leaves nothing behind
            self._leave()
            raise
        gc.collect()
        gc.freeze()  # what all share is not touched, and so copied, by a collection
        self.asking: dict[int, socket.socket] = {}  # by the process that was forked for it
        self.poll = selectors.DefaultSelector()
        self.poll.register(self.listener, selectors.EVENT_READ, self._fork)
        self.poll.register(sys.stdin, selectors.EVENT_READ, self._end)

    def serve(self) -> list[str]:
        """Returns in each forked process alone: a module and its arguments."""
        while True:
            for key, _ in self.poll.select():
                if wanted := key.data(key.fileobj):
                    return wanted

    def _fork(self, listener: socket.socket) -> list[str] | None:
        connection, _ = listener.accept()
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as asked:
            wanted = asked.readline()
        with suppress(OSError):
            connection.send(b"+")
        if not wanted.endswith(b"\n"):  # killed before it had said all
            connection.close()
        elif process := os.fork():
            self.asking[process] = connection
            self.poll.register(connection, selectors.EVENT_READ, partial(self._pass_on, process))
            self.poll.register(os.pidfd_open(process), selectors.EVENT_READ, partial(self._report, process))
        else:
            self.poll.close()
            for other in (listener, connection, *self.asking.values()):
                other.close()
            return _become(json.loads(wanted), files)
        for file in files:
            os.close(file)
        return None

    def _pass_on(self, process: int, connection: socket.socket) -> None:
        """A signal that whoever asked was sent; or its end, which is the end of both."""
        if process not in self.asking:  # both ended at once, and the other came first
            return
        with suppress(OSError):
            if number := connection.recv(1):
                os.kill(process, number[0])
                return
        _kill(process)
        self.poll.unregister(connection)

    def _report(self, process: int, ended: int) -> None:
        _, status = os.waitpid(process, 0)
        self.poll.unregister(ended)
        os.close(ended)
        connection = self.asking.pop(process)
        with suppress(KeyError):
            self.poll.unregister(connection)
        with suppress(OSError), connection:
            connection.send(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))

    def _end(self, _: object) -> None:
        for process in self.asking:
            _kill(process)
        self._leave()
        sys.exit()

    def _leave(self) -> None:
        os.remove(self.address)
        os.rmdir(os.path.dirname(self.address))


def _kill(process: int) -> None:
    """With all that it started, which share its group."""
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def _become(wanted: dict, files: list[int]) -> list[str]:
    os.setsid()
    for file, stream in zip(files, (0, 1, 2)):
        os.dup2(file, stream)
        os.close(file)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    sys.path[:1] = [wanted["folder"], os.path.join(wanted["folder"], "book")]  # the packages that lie there
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server may have been told to ignore it
    for name in [name for name in sys.modules if name.split(".")[0] in ("mae_lib", "maebook")]:
        del sys.modules[name]
    return wanted["argv"]


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--serve"]:
        arguments = Server(arguments[1], arguments[2:]).serve()  # returns in a forked process
    elif (status := hand_over(arguments[0], arguments[1:])) is not None:
        if status < 0:  # end as the other did
            with suppress(OSError):  # a kill cannot be caught, so there is nothing to put back
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        sys.exit(status)
    sys.argv[1:] = arguments[1:]
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
