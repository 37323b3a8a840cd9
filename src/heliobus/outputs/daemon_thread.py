"""A thread for what may hang: it does not keep the process from ending, as those of ThreadPoolExecutor do."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Answer:
    """Hands whatever is raised to who waits for the result."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True


async def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns or raises, called in a new thread. One that hangs is left behind by who is cancelled."""
    thread = DaemonThread("heliobus-apart")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, partial(function, *args, **kwargs))
    finally:
        thread.shutdown(wait=False)


class DaemonThread(Executor):
    """One thread, started when it first has something to do. It takes one thing after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `fn` called."""
        future: Future[T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                with _Answer(future):
                    future.set_result(fn(*args, **kwargs))

        self._tasks.put(work)
        if self._thread is None:
            self._thread = Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End after what is still to be done."""
        self._tasks.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
