"""`record`: a dataclass for values that are made by the thousand. Frozen by type check, not at run time.

A frozen dataclass sets every field by a call of `object.__setattr__` and takes four times as long to build as one that
is not. Events, actions, handles and views are made several times for every request, and together that was a tenth of
what deciding costs. So the type checker reads `@record(frozen=True, slots=True)` as the dataclass that it says, and the
interpreter makes one that compares and hashes alike but does not guard its fields.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from dataclasses import dataclass

    T = TypeVar("T", bound=type)

    def record(*, frozen: bool, slots: bool) -> Callable[[T], T]:
        """`dataclass(frozen=True, slots=True)`, without the guard that nobody needs once types were checked."""
        assert frozen and slots
        return dataclass(slots=True, unsafe_hash=True)


__all__ = ["record"]
