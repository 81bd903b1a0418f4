"""What the starter model can be asked: its caption grammar, as data.

    caption   := thing [relation thing] ["on a" background "background"]
    thing     := ("a" | "an") [size] colour shape
    relation  := "above" | "below" | "left of" | "right of"

At least one eighth of all two-thing combinations is never shown in training, so that an evaluation can ask
for pictures the model has not seen. "a above b" and "b below a" mean the same picture and are held out
together.
This file knows neither pixels nor tensors.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "cyan")
SHAPES = ("circle", "square", "triangle")
SIZES = ("small", "large")
BACKGROUNDS = ("light", "dark")
RELATIONS = ("above", "below", "left of", "right of")
OPPOSITE = {"above": "below", "below": "above", "left of": "right of", "right of": "left of"}

#: Every word a caption may use, in a fixed order (the tokenizers number them by it).
VOCABULARY = (
    "a",
    "an",
    "on",
    "of",
    "background",
    *COLOURS,
    *SHAPES,
    *SIZES,
    *BACKGROUNDS,
    "above",
    "below",
    "left",
    "right",
)
#: "a small red circle left of a large blue square on a dark background"
MAX_WORDS = 14
HELD_OUT_ONE_IN = 7  # CRC32 residue 0; gives a little over one eighth


class CaptionError(ValueError):
    """The caption is not in the grammar; the message says where and what was expected."""


@dataclass(frozen=True)
class Thing:
    """One object. `size` is "small", "large" or "" (not said)."""

    colour: str
    shape: str
    size: str = ""


@dataclass(frozen=True)
class Description:
    """What a caption means: one thing, or two and their relation. `background` "" means: not said."""

    things: tuple[Thing, ...]
    relation: str = ""
    background: str = ""


def say(what: Description) -> str:
    """The caption of a description; `parse(say(d)) == d`."""
    text = _say_thing(what.things[0])
    if what.relation:
        text += f" {what.relation} {_say_thing(what.things[1])}"
    return text + (f" on a {what.background} background" if what.background else "")


def _say_thing(thing: Thing) -> str:
    words = " ".join(word for word in (thing.size, thing.colour, thing.shape) if word)
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def parse(caption: str) -> Description:
    """Read a caption (any case); raises CaptionError where it leaves the grammar."""
    words = _Words(caption.lower().split())
    things = [_parse_thing(words)]
    relation = _parse_relation(words)
    if relation:
        things.append(_parse_thing(words))
    background = ""
    if words.accept("on"):
        words.expect(("a",))
        background = words.expect(BACKGROUNDS)
        words.expect(("background",))
    if words.peek():
        raise CaptionError(f"unexpected {words.peek()!r} after {words.said()!r}")
    return Description(tuple(things), relation, background)


def _parse_thing(words: _Words) -> Thing:
    words.expect(("a", "an"))
    size = words.next() if words.peek() in SIZES else ""
    return Thing(words.expect(COLOURS), words.expect(SHAPES), size)


def _parse_relation(words: _Words) -> str:
    if words.peek() in ("above", "below"):
        return words.next()
    if words.peek() in ("left", "right"):
        side = words.next()
        words.expect(("of",))
        return f"{side} of"
    return ""


class _Words:
    """A cursor over the words of one caption."""

    def __init__(self, words: list[str]) -> None:
        self.words, self.at = words, 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def next(self) -> str:
        self.at += 1
        return self.words[self.at - 1]

    def accept(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self.at += 1
        return True

    def said(self) -> str:
        return " ".join(self.words[: self.at])

    def expect(self, allowed: tuple[str, ...]) -> str:
        if self.peek() in allowed:
            return self.next()
        found = repr(self.peek()) if self.peek() else "the end"
        raise CaptionError(f"expected one of {', '.join(allowed)} after {self.said()!r}, found {found}")


def normal_form(what: Description) -> Description:
    """The same meaning with the relation said as "above" or "left of"."""
    if what.relation in ("below", "right of"):
        return replace(what, things=what.things[::-1], relation=OPPOSITE[what.relation])
    return what


def is_held_out(what: Description) -> bool:
    """True when this combination of colours, shapes and relation is never trained on, in any size."""
    if not what.relation:
        return False
    form = normal_form(what)
    bare = Description(tuple(Thing(t.colour, t.shape) for t in form.things), form.relation)
    return zlib.crc32(say(bare).encode()) % HELD_OUT_ONE_IN == 0


def singles() -> Iterator[Description]:
    """All 24 plain one-thing descriptions."""
    for colour in COLOURS:
        for shape in SHAPES:
            yield Description((Thing(colour, shape),))


def pairs() -> Iterator[Description]:
    """All plain two-thing descriptions of two different things (2208)."""
    things = [one.things[0] for one in singles()]
    for first in things:
        for second in things:
            for relation in RELATIONS if first != second else ():
                yield Description((first, second), relation)


def draw_training(rng: random.Random, pair_share: float = 0.65, modified_share: float = 0.10) -> Description:
    """One random training description: never a held-out combination.

    pair_share      share of two-thing descriptions
    modified_share  share that may carry size words and a background word
    """
    while True:
        things = tuple(Thing(rng.choice(COLOURS), rng.choice(SHAPES)) for _ in range(2))
        what = Description(things, rng.choice(RELATIONS))
        if rng.random() >= pair_share:
            what = Description(things[:1])
        if not is_held_out(what):
            return _modify(what, rng) if rng.random() < modified_share else what


def _modify(what: Description, rng: random.Random) -> Description:
    things = tuple(replace(t, size=rng.choice(("", *SIZES))) for t in what.things)
    return replace(what, things=things, background=rng.choice(("", *BACKGROUNDS)))
