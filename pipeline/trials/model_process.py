"""The process that fits a study's own models: it may raise, hang or be killed, and the worker that waits for it goes on."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import one_line
from pipeline.training.metrics import VAL_ACCURACY
from pipeline.trials.model_output import ModelOutput
from pipeline.trials.own_models import Curves, ModelData, Outcome, find_model, fit_trial
from pipeline.trials.trial import Failure

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PR_SET_PDEATHSIG = 1
"""The option of Linux's ``prctl`` that names the signal a child gets when its parent ends."""
LONGEST_TRACEBACK = 4000
"""The most characters of a traceback that are kept, from its end: a tag of every store holds them."""
POLL_SECONDS = 1


class ModelProcess:
    """A child process that fits one trial at a time; it is started for the first, and again after one that it did not survive."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._process: subprocess.Popen[bytes] | None = None
        self._output: ModelOutput | None = None
        self._block: object = None
        atexit.register(self.close)

    def fit(
        self,
        model: str,
        params: Mapping[str, Any],
        seed: int,
        block: object,
        data: Callable[[], ModelData],
        timeout: float = 0.0,
        stop: Callable[[int, float], bool] | None = None,
        watched: str = VAL_ACCURACY,
        *,
        save: bool = False,
    ) -> Outcome | Failure:
        """Fit a trial. ``block`` identifies the data, which are sent once; ``timeout`` is in seconds, 0 for none.

        With ``save``, the outcome has the estimator.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            if self._process:
                _kill(self._process)

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        try:
            process = self._started()
            if self._block != (model, block):  # imports and copies of the data do not count as the trial's time
                _send(process.stdin, (model, data()))
                _receive(process.stdout)
                self._block = (model, block)
            if timeout:
                timer.start()
            _send(process.stdin, (model, dict(params), seed, watched if stop else "", save))
            while not isinstance(reply := _receive(process.stdout), (Outcome, Failure)):
                _send(process.stdin, bool(stop and stop(*reply)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            code = self.close()
            if late.is_set():
                return Failure("timed-out", f"did not end within the trial_timeout of {timeout:g} s")
            return Failure("killed", _ending(code))
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            if self._output:
                self._output.end_trial()
        return reply

    def close(self) -> int:
        """Kill the process, and return its exit code; the next trial starts another."""
        process, self._process, self._block = self._process, None, None
        if process is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)  # it may have ended by itself: then its code tells how
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        if self._output:
            self._output.close()
            self._output = None
        return process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            main_thread = threading.current_thread() is threading.main_thread()
            code = (
                f"import sys; sys.path[:] = {[*sys.path, *self._paths]!r}\n"
                f"from pipeline.trials.model_process import serve; serve({os.getpid()}, {main_thread})"
            )
            self._process = subprocess.Popen(  # noqa: S603  this interpreter
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **ONE_THREAD, "PYTHONWARNINGS": "ignore"},
                start_new_session=True,
            )
            self._output = ModelOutput(self._process.stderr)  # type: ignore[arg-type]
        return self._process


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a model's process, and the processes that the model has started."""
    process.kill()
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)


def _ending(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        memory = ", perhaps since the memory was full" if name == "SIGKILL" else ""
        return f"was ended by {name}{memory}"
    return f"ended its process with exit code {code}"


def _send(pipe: Any, message: object) -> None:
    pickle.dump(message, pipe, protocol=5)
    pipe.flush()


def _receive(pipe: Any) -> Any:
    return pickle.load(pipe)  # noqa: S301


def serve(parent: int, by_signal: bool) -> None:
    """Fit the trials that arrive on standard input until it ends; what a model prints goes to standard error."""
    end_with(parent, by_signal=by_signal)
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")  # if memory runs out, this process goes before its worker
    requests: BinaryIO = os.fdopen(os.dup(0), "rb")
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  a model that reads its input must neither wait nor get requests
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    if hasattr(os, "register_at_fork"):
        _end_forks_too(requests, answers)
    data = None
    with contextlib.suppress(EOFError):
        while True:
            request = _receive(requests)
            if isinstance(request[1], ModelData):
                model, data = request
                with contextlib.suppress(Exception):  # it is imported again, and its error shown, by the first trial
                    find_model(model)
                _send(answers, None)
            else:
                _send(answers, _fit(request, data, requests, answers))


def _end_forks_too(*pipes: BinaryIO) -> None:
    """Let processes that the model forks hold none of the pipes, and end with this process (Linux, from its main thread)."""
    forked_by: list[threading.Thread] = [threading.main_thread()]
    model_process, main = os.getpid(), threading.main_thread()

    def before() -> None:
        forked_by[0] = threading.current_thread()

    def in_child() -> None:
        for pipe in pipes:
            pipe.close()
        if sys.platform == "linux" and forked_by[0] is main and os.getppid() == model_process:
            end_with(model_process, by_signal=True)

    os.register_at_fork(before=before, after_in_child=in_child)


def _fit(request: Any, data: Any, requests: BinaryIO, answers: BinaryIO) -> Outcome | Failure:
    model, params, seed, watched, save = request

    def stop(epoch: int, accuracy: float) -> bool:
        _send(answers, (epoch, accuracy))
        try:
            return bool(_receive(requests))
        except EOFError:  # the worker has ended
            os._exit(1)

    try:
        return fit_trial(model, params, seed, data, Curves(stop if watched else None, watched), save=save)
    except BaseException as error:  # noqa: BLE001  a model may raise anything, and SystemExit too
        return Failure("failed", f"raised {one_line(error)[:300]}", traceback.format_exc()[-LONGEST_TRACEBACK:])
    finally:
        with contextlib.suppress(Exception):  # the model may have closed it
            sys.stdout.flush()  # what it has printed belongs to this trial


def end_with(parent: int, *, by_signal: bool) -> None:
    """Make this process end when the process ``parent`` ends, also while it computes.

    Linux sends a signal; ``by_signal`` is False if the parent's main thread did not start this process, since Linux would
    send it when that thread ends.
    """
    if sys.platform == "linux" and by_signal:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()
    if sys.platform != "win32" and os.getppid() != parent:  # the parent ended before the lines above
        os._exit(1)


def _exit_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)
