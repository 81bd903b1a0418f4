"""Whose a request is: the keys of tenants, and the terms that control grants them.

Keys are known by their SHA-256 only, in the settings and here; what a client sends is hashed, looked up and forgotten.
No key, and nothing made of one, is ever logged or answered.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from brickwork.control.fairness import Tenant
from brickwork.server.errors import ApiError

OPEN = ("/", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""What needs no key: the page itself, and what operators' tools ask for."""


class TenantSettings(BaseModel):
    """One tenant, as the settings have it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=80)]
    key_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # of its API key, in hexadecimal
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    priority: Annotated[int, Field(ge=-10, le=10)] = 0
    max_requests: Annotated[int | None, Field(ge=1)] = None


def checked(tenants: list[TenantSettings]) -> list[TenantSettings]:
    """raises    ValueError when two have the same name or key"""
    if len({each.name for each in tenants}) < len(tenants):
        raise ValueError("two have the same name; give each its own")
    if len({each.key_sha256 for each in tenants}) < len(tenants):
        raise ValueError("two have the same key; make one for each")
    return tenants


def terms(tenants: Sequence[TenantSettings]) -> dict[str, Tenant]:
    """What control grants, by name."""
    return {each.name: Tenant(each.weight, each.priority, each.max_requests) for each in tenants}


class Keys:
    """Tells tenants by their keys. Without tenants everybody is let in, as nobody in particular."""

    def __init__(self, tenants: Sequence[TenantSettings]):
        self._names: Mapping[str, str] = {each.key_sha256: each.name for each in tenants}

    def tenant(self, path: str, authorization: bytes) -> str | None:
        """The tenant of a request to `path` with this Authorization header; None: nobody in particular.

        raises    ApiError 401
        """
        if not self._names or path in OPEN:
            return None
        scheme, _, key = authorization.partition(b" ")
        name = self._names.get(sha256(key.strip()).hexdigest()) if scheme.lower() == b"bearer" else None
        if name is None:
            said = "The API key is not known" if authorization else "An API key is needed"
            text = f"{said}: send a tenant's key as `Authorization: Bearer KEY`."
            raise ApiError(401, "invalid_api_key", text, headers={"www-authenticate": "Bearer"})
        return name
