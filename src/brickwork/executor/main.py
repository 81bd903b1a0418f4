"""An executor process: dials the coordinator, obeys orders in their order, dies with the connection.

Three threads: *reading* takes orders off the socket (those about running batches go into a mailbox), *beating* proves
that the process runs, and the main thread loads models and runs batches, since torch's thread pool belongs to the
thread that uses it.
"""

import os
import queue
import sys
import threading
from typing import Any, NoReturn

import msgspec

from brickwork.core.errors import BrickworkError
from brickwork.executor.config import ExecutorConfig
from brickwork.executor.link import Link
from brickwork.executor.mailbox import Mailbox
from brickwork.wire import messages
from brickwork.wire.messages import Define, Heartbeat, Hello, Join, Load, LoadFailed, Order, Run, Stop, Unload, Yield


def main(config: dict[str, Any]) -> NoReturn:
    """Run until the connection to the coordinator ends, which ends the process."""
    Executor(msgspec.convert(config, ExecutorConfig)).run()


class Executor:
    """The three threads of one executor process."""

    def __init__(self, config: ExecutorConfig):
        self._config = config
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._mailbox = Mailbox()
        self._link = Link(config.address)

    def run(self) -> NoReturn:
        config = self._config
        self._link.send(Hello(messages.VERSION, config.executor, config.token, os.getpid()))
        threading.Thread(target=self._beat, daemon=True, name="beating").start()
        worker = self._worker()
        threading.Thread(target=self._read, daemon=True, name="reading").start()
        while True:
            worker.obey(self._orders.get())

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
                case _:
                    self._orders.put(order)
        # The coordinator is gone: nobody wants what the main thread is computing, so do not wait for it.
        sys.stderr.flush()
        os._exit(0)

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._config.heartbeat_s):
            self._link.send(Heartbeat())


class Worker:
    """The main thread's half: everything that touches torch and the arena."""

    def __init__(self, config: ExecutorConfig, link: Link, mailbox: Mailbox):
        from brickwork.data.segments import Segments, open_store
        from brickwork.executor.residency import Residency
        from brickwork.executor.runner import Runner

        segments = Segments(config.arena_fd, config.spill_fd if config.spill_fd >= 0 else None)
        store = open_store(segments, config.holder)
        self._link = link
        self._residency = Residency(config.memory_bytes)
        self._runner = Runner(config.executor, os.getpid(), store, self._residency, link.send, mailbox)
        self._programs: dict[str, Any] = {}

    def obey(self, order: Order) -> None:
        match order:
            case Run():
                self._runner.run(order, self._programs[order.program])
            case Define():
                self._programs[order.program.id] = order.program.program()
            case Load():
                self._load(order)
            case Unload():
                self._residency.unload(order.model)
                self._link.send(messages.Unloaded(order.model))

    def _load(self, order: Load) -> None:
        try:
            load_s = self._residency.load(order.model)
        except BrickworkError as error:
            self._link.send(LoadFailed(order.model.id, str(error)))
        else:
            self._link.send(messages.Loaded(order.model.id, load_s))
