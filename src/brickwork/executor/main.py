"""An executor process: dials the coordinator, obeys orders, dies with the connection.

Four threads: *reading* takes orders off the socket (those about running batches go into a mailbox, the others into two
lanes), *beating* proves that the process runs, *loading* loads and unloads models, and the main thread runs batches,
since torch's thread pool belongs to the thread that uses it. So a load never stops a batch that does not need it.
"""

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from brickwork.compiler.plan import Program, ProgramId
from brickwork.core.errors import BrickworkError
from brickwork.executor.config import ExecutorConfig, shares
from brickwork.executor.lanes import Lanes
from brickwork.executor.link import Link
from brickwork.executor.mailbox import Mailbox
from brickwork.wire import messages
from brickwork.wire.messages import Define, Heartbeat, Hello, Join, Load, LoadFailed, Order, Run, Stop, Unload, Yield

SWITCH_S = 0.0005
"""How long a thread keeps the interpreter when another one wants it. Building a model is Python for a good part, and
each operation of a running batch may have to wait so long for its turn meanwhile: beside a thread that does nothing but
Python, a step of 40 small layers takes 7.3 ms with the usual 5 ms, 2.7 ms with this, and 0.9 ms alone."""


def main(config: dict[str, Any]) -> NoReturn:
    """Run until the connection to the coordinator ends, which ends the process."""
    Executor(msgspec.convert(config, ExecutorConfig)).run()


class Executor:
    """The threads of one executor process, and what they share."""

    def __init__(self, config: ExecutorConfig):
        self._config = config
        self._programs: dict[ProgramId, Program] = {}
        self._lanes: Lanes[Order] = Lanes()
        self._mailbox = Mailbox()
        self._link = Link(config.address)

    def run(self) -> NoReturn:
        config = self._config
        self._link.send(Hello(messages.VERSION, config.executor, config.token, os.getpid()))
        sys.setswitchinterval(SWITCH_S)
        self._start(self._beat, "beating")
        worker = self._worker()
        self._start(self._read, "reading")
        self._start(lambda: self._load(worker), "loading")
        while True:
            ticket = self._lanes.compute.get()
            order = ticket.wait()
            assert isinstance(order, Run)
            worker.run(order, self._programs[order.program])
            ticket.done.set()

    def _start(self, target: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                target()
            except BaseException:  # a defect; without one of its threads an executor is of no use
                traceback.print_exc()
                os._exit(1)

        threading.Thread(target=run, daemon=True, name=name).start()

    def _worker(self) -> "Worker":
        import torch

        torch.set_num_threads(self._config.threads)
        return Worker(self._config, self._link, self._mailbox)

    def _read(self) -> None:
        for order in self._link.orders():
            match order:
                case Stop():
                    self._mailbox.stop(order.batch, order.task_id)
                case Join():
                    self._mailbox.join(order.batch, order.runs)
                case Yield():
                    self._mailbox.leave(order.batch)
                case Define():
                    self._programs[order.program.id] = order.program.program()
                case Run():
                    self._lanes.run(order, self._programs[order.program].models)
                case Load():
                    self._lanes.load(order, order.model.id)
                case Unload():
                    self._lanes.unload(order, order.model)
        # The coordinator is gone: nobody wants what the main thread is computing, so do not wait for it.
        sys.stderr.flush()
        os._exit(0)

    def _load(self, worker: "Worker") -> None:
        while True:
            ticket = self._lanes.memory.get()
            match ticket.wait():
                case Load() as order:
                    worker.load(order)
                case Unload() as order:
                    worker.unload(order)
            ticket.done.set()

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._config.heartbeat_s):
            self._link.send(Heartbeat())


class Worker:
    """Everything that touches torch and the arena. Batches are for one thread, models for another."""

    def __init__(self, config: ExecutorConfig, link: Link, mailbox: Mailbox):
        from brickwork.data.segments import Segments, open_store
        from brickwork.executor.residency import Residency
        from brickwork.executor.runner import Runner

        segments = Segments(config.arena_fd, config.spill_fd if config.spill_fd >= 0 else None)
        store = open_store(segments, config.holder)
        self._link = link
        self._residency = Residency(shares(config.memory_bytes))
        self._runner = Runner(config.executor, os.getpid(), store, self._residency, link.send, mailbox)
        gc.freeze()  # what is imported stays: collecting a model's cycles need not look through it

    def run(self, order: Run, program: Program) -> None:
        self._runner.run(order, program)

    def load(self, order: Load) -> None:
        try:
            load_s = self._residency.load(order.model)
        except BrickworkError as error:
            self._link.send(LoadFailed(order.model.id, str(error)))
        else:
            self._link.send(messages.Loaded(order.model.id, load_s))

    def unload(self, order: Unload) -> None:
        self._residency.unload(order.model)
        self._link.send(messages.Unloaded(order.model))
