"""Child processes: they end with their parent, and what killed ones left in shared memory is removed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from pathlib import Path

STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask a process to stop; Windows has no SIGHUP."""
PR_SET_PDEATHSIG = 1
"""The option of Linux's ``prctl`` that names the signal a child gets when its parent ends."""
POLL_SECONDS = 1
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where Linux keeps semaphores and joblib keeps arrays
LEFTOVER = re.compile(r"(?:sem\.loky-(\d+)-|joblib_memmapping_folder_(\d+)_)\w+")
"""The names of a worker pool's semaphores and folders; they contain the id of the process that created them."""


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Delay the signals that ask to stop until the body is done; child processes start with them blocked."""
    held: list[int] = []
    handled = [
        signum
        for signum in STOPS
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(signum) not in (signal.SIG_IGN, None)
    ]
    # The mask below covers one thread; another thread could still receive a signal, so handlers are needed too.
    handlers = {signum: signal.signal(signum, lambda signum, _: held.append(signum)) for signum in handled}
    try:
        with _mask():
            yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        for signum in held[:1]:
            signal.raise_signal(signum)


@contextlib.contextmanager
def _mask() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # it would unblock SIGINT and SIGTERM if it started later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become_worker(parent: int) -> None:
    """Make this process a worker: it ends when the process ``parent`` ends, and ignores Ctrl-C and SIGHUP."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    if sys.platform != "win32" and os.getppid() != parent:  # the parent ended before the lines above
        os._exit(1)
    for signum in STOPS:
        signal.signal(signum, signal.SIG_DFL if signum == signal.SIGTERM else signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def end_with_project_runner() -> None:
    """Make this process stop as by SIGTERM when the ``mlflow run`` that started it is killed (Linux only).

    A shell that started this process may end: a search in the background continues.
    """
    if os.environ.get("MLFLOW_RUN_ID") and _has_project_runner():
        threading.Thread(target=_stop_with_project_runner, daemon=True).start()


def _stop_with_project_runner() -> None:
    while _has_project_runner():
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _has_project_runner() -> bool:
    """Return True if the parent is ``mlflow run``, or a shell that this has started."""
    with contextlib.suppress(OSError):
        parent = os.getppid()
        grandparent = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1]
        for pid in (parent, grandparent):
            words = [Path(word).name for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0")]
            if "mlflow" in words and "run" in words[words.index("mlflow") :]:
                return True
    return False


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def remove_leftovers() -> None:
    """Remove this user's semaphores and folders of worker pools whose process has ended."""
    if sys.platform == "win32":  # its semaphores are not files
        return
    folders = {SHARED_MEMORY, Path(tempfile.gettempdir()), Path(os.environ.get("JOBLIB_TEMP_FOLDER") or SHARED_MEMORY)}
    for path in (path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        match = LEFTOVER.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if match and path.lstat().st_uid == os.getuid() and not alive(int(match[1] or match[2])):
                # Joblib or another search may remove the same folder now: what it has removed already is no error.
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else path.unlink()


def alive(pid: int) -> bool:
    """Return True if this machine has a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's process
        return True
    return True


def supervised(command: Sequence[str]) -> list[str]:
    """Return a command line that runs a command and kills it when its standard input, a pipe, is closed.

    The pipe is closed when the process at its other end ends for any reason.
    """
    return [sys.executable, "-P", __file__, *command]


def supervise(command: Sequence[str]) -> int:
    """Run a command and return its exit code; kill its process group when standard input is closed."""
    if os.getpgrp() != os.getpid():  # the group is still the parent's
        os.setpgrp()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  the command of :func:`supervised`
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the command receives it too, and needs time to end
    threading.Thread(target=_kill_group_after_input, daemon=True).start()
    return process.wait()


def _kill_group_after_input() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
