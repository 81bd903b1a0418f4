"""What every tenant has asked for and has running: the books behind `fairness.py`.

A tenant is *present* while a request of it is accepted and not finished. Its clock is kept while it is present, and a
while after, so that leaving for a moment does not wipe out what it had.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from brickwork.control.fairness import Tenant, TenantView
from brickwork.control.indexes import SortedKeys

MAX_ABSENT = 1024
"""Clocks of absent tenants that are kept; the one that left first is forgotten, and starts anew if it returns."""


@dataclass(slots=True)
class Account:
    clock_s: float  # weighted device seconds asked for
    served_s: float  # of those, what ended requests asked for (on average, while several are in the system)
    requests: int = 0  # accepted and not finished


class Tenants:
    """The accounts of all tenants. `granted` names those with other than default terms."""

    def __init__(self, granted: Mapping[str, Tenant] | None = None):
        self._granted = dict(granted or {})
        self.accounts: dict[str, Account] = {}
        self.present: SortedKeys[tuple[float, str]] = SortedKeys()  # (clock, name) of those with requests
        self._absent: dict[str, None] = {}

    def terms(self, name: str) -> Tenant:
        return self._granted.get(name, Tenant())

    def has_room(self, name: str) -> bool:
        """May the tenant have another request accepted?"""
        most, account = self.terms(name).max_requests, self.accounts.get(name)
        return most is None or account is None or account.requests < most

    def view(self, name: str, executors: int) -> TenantView:
        """What the fairness policy sees when a request of the tenant arrives."""
        clocks_s = [key[0] for key in self.present.first(1)]
        clock_s = self._clock_s(name)
        return TenantView(self.terms(name), clock_s, min([clock_s, *clocks_s]), executors)

    def enter(self, name: str, work_s: float) -> None:
        """A request that asks for `work_s` device seconds was accepted."""
        clock_s = self._clock_s(name)
        account = self.accounts.setdefault(name, Account(clock_s, clock_s))
        if account.requests:
            self.present.remove((account.clock_s, name))
        else:
            account.served_s = clock_s
        account.clock_s = clock_s + work_s / self.terms(name).weight
        account.requests += 1
        self.present.add((account.clock_s, name))
        self._absent.pop(name, None)

    def leave(self, name: str) -> None:
        """A request of the tenant has ended."""
        account = self.accounts[name]
        account.served_s += (account.clock_s - account.served_s) / account.requests
        account.requests -= 1
        if account.requests == 0:
            self.present.remove((account.clock_s, name))
            self._absent[name] = None
            if len(self._absent) > MAX_ABSENT:
                oldest = next(iter(self._absent))
                del self._absent[oldest], self.accounts[oldest]

    def _clock_s(self, name: str) -> float:
        """The tenant's clock; of one that comes back not behind the one who was served least: no credit for absence."""
        account = self.accounts.get(name)
        if account is not None and account.requests:
            return account.clock_s
        served_s = min((self.accounts[other].served_s for _, other in self.present), default=0.0)
        return max(account.clock_s if account else 0.0, served_s)
