"""Goal: at whatever pace a reader follows a job, it has in the end everything, and the ring stays bounded.

Method: readers and a writer take turns in an order that Hypothesis draws. What a reader knows is a model of a client:
a snapshot replaces what it knew, an event adds to it. No clock and no sleep: a turn is one step of a generator.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.server import feed as feeds
from brickwork.server.feed import Event, Feed


class Reader:
    """A client: it holds the numbers it has heard of, one by one or in a snapshot."""

    def __init__(self, feed: Feed, known: list[int]):
        self._feed, self._known = feed, known
        self.heard: set[int] = set()
        self.seen: str | None = None
        self._events: AsyncIterator[Event | None] | None = None

    async def _snapshot(self) -> dict[str, Any]:
        return {"numbers": list(self._known)}

    async def turn(self, times: int) -> None:
        if self._events is None:
            self._events = self._feed.follow(self.seen, self._snapshot, patience_s=0)
        for _ in range(times):
            event = await anext(self._events, None)
            if event is None:
                return
            data = json.loads(event.data)
            self.heard |= set(data["numbers"])
            self.seen = event.id

    def hang_up(self) -> None:
        self._events = None


turns = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 9)),
        st.tuples(st.just("read"), st.integers(0, 2), st.integers(1, 6)),
        st.tuples(st.just("hang up"), st.integers(0, 2)),
    ),
    max_size=60,
)


@given(turns, st.integers(1, 12), st.integers(8, 400))
def test_every_reader_hears_of_everything(turns: list[tuple[Any, ...]], max_events: int, max_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "MAX_EVENTS", max_events)
        patch.setattr(feeds, "MAX_BYTES", max_bytes)
        asyncio.run(_play(turns, max_events, max_bytes))


async def _play(turns: list[tuple[Any, ...]], max_events: int, max_bytes: int) -> None:
    feed, known = Feed(3), []
    readers = [Reader(feed, known) for _ in range(3)]
    for turn in turns:
        match turn:
            case ("add", times):
                for _ in range(times):
                    known.append(len(known))
                    feed.add("progress", {"numbers": [known[-1]]})
                assert len(feed._ring) <= max_events
                assert len(feed._ring) == 1 or sum(len(event.data) for event in feed._ring) <= max_bytes
            case ("read", reader, times):
                await readers[reader].turn(times)
            case ("hang up", reader):
                readers[reader].hang_up()
    feed.end()
    for reader in readers:
        await reader.turn(len(known) + 2)
        assert reader.heard == set(known)


def test_events_are_those_since_the_last_one_seen() -> None:
    async def go() -> None:
        feed = Feed(7)
        for number in range(5):
            feed.add("state", {"n": number})
        feed.end()
        got = [event async for event in feed.follow("7.2", _nothing, 0)]
        assert [event.id for event in got if event] == ["7.3", "7.4", "7.5"]
        assert [json.loads(event.data)["n"] for event in got if event] == [2, 3, 4]
        assert [event async for event in feed.follow("7.5", _nothing, 0)] == []

    asyncio.run(go())


async def _nothing() -> dict[str, Any]:
    return {}


@given(st.text(max_size=30))
def test_strange_ids_begin_anew(seen: str) -> None:
    async def go() -> list[str]:
        feed = Feed(7)
        feed.add("state", {})
        feed.end()
        return [event.kind async for event in feed.follow(seen, _nothing, 0) if event]

    kinds = asyncio.run(go())
    assert kinds == ["snapshot"] or seen.startswith("7.")


def test_silence_is_told() -> None:
    async def go() -> None:
        follower = Feed(1).follow(None, _nothing, patience_s=0)
        assert (await anext(follower)).kind == "snapshot"  # type: ignore[union-attr]
        assert await anext(follower) is None

    asyncio.run(go())


def test_an_event_is_one_record_of_the_stream() -> None:
    assert Event("1.2", "state", '{"a":"b\\n"}').sse() == 'id: 1.2\nevent: state\ndata: {"a":"b\\n"}\n\n'
