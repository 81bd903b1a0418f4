"""Goal: asyncio code runs unmodified in virtual time: hours pass in milliseconds, in an order that never varies.

Method: sleeps, timeouts, queues and heartbeats on the loop; what waits for ever is told. The names of CPython that the
loop leans on are checked first, so that a new interpreter that lacks them fails here and not somewhere else.
"""

import asyncio

import pytest

from brickwork.sim.virtual_loop import Stuck, VirtualLoop, run


def test_the_private_names_are_there() -> None:
    loop = asyncio.SelectorEventLoop()
    assert hasattr(loop, "_ready") and hasattr(loop, "_scheduled") and hasattr(loop, "_run_once")
    loop.close()


def test_a_day_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert run(main()) == 86_400


def test_timers_that_are_due_together_keep_their_order() -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for k in range(50):
            loop.call_later(1.0, seen.append, k)
        await asyncio.sleep(1.0)
        return seen

    assert run(main()) == list(range(50))


def test_a_silent_peer_is_noticed_after_the_time_that_was_set() -> None:
    """Heartbeats every second, five of them; the watcher gives up three seconds after the last."""

    async def main() -> float:
        beats: asyncio.Queue[int] = asyncio.Queue()

        async def peer() -> None:
            for k in range(5):
                await asyncio.sleep(1.0)
                beats.put_nowait(k)

        task = asyncio.ensure_future(peer())
        with pytest.raises(TimeoutError):
            while True:
                await asyncio.wait_for(beats.get(), 3.0)
        await task
        return asyncio.get_running_loop().time()

    assert run(main()) == 8.0


def test_cancelled_timers_do_not_move_the_clock() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(100.0, print).cancel()
        await asyncio.sleep(1.0)
        return loop.time()

    assert run(main()) == 1.0


def test_who_waits_for_ever_is_told() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck, match="nothing is left to happen"):
        run(main())


def test_an_error_ends_the_run() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        run(main())


def test_the_loop_is_made_and_closed() -> None:
    VirtualLoop().close()
