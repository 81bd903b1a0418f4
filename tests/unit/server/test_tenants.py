"""Goal: a key names its tenant and nobody without one gets in; contradicting settings are refused in words.

Method: settings as a file gives them, and headers as clients send them.
"""

from hashlib import sha256
from pathlib import Path

import pytest

from brickwork.control.fairness import Tenant
from brickwork.core.errors import InputError
from brickwork.server.errors import ApiError
from brickwork.server.settings import settings_of
from brickwork.server.tenants import Keys, TenantSettings, terms

A = TenantSettings(name="a", key_sha256=sha256(b"secret-a").hexdigest(), weight=3.0, max_requests=2)
B = TenantSettings(name="b", key_sha256=sha256(b"secret-b").hexdigest(), priority=1)


def test_a_key_names_its_tenant() -> None:
    keys = Keys([A, B])
    assert keys.tenant("/v1/jobs", b"Bearer secret-a") == "a"
    assert keys.tenant("/v1/jobs", b"bearer  secret-b ") == "b"
    assert keys.tenant("/healthz", b"") is None
    assert terms([A, B]) == {"a": Tenant(3.0, 0, 2), "b": Tenant(1.0, 1, None)}


@pytest.mark.parametrize("header", [b"", b"Bearer", b"Bearer secret-c", b"Basic secret-a", b"secret-a", b"\xff\x00"])
def test_others_are_refused_without_an_echo(header: bytes) -> None:
    with pytest.raises(ApiError, match="send a tenant's key as `Authorization: Bearer KEY`") as refused:
        Keys([A, B]).tenant("/v1/jobs", header)
    assert refused.value.status == 401 and "secret" not in str(refused.value)


def test_without_tenants_nobody_needs_a_key() -> None:
    assert Keys([]).tenant("/v1/jobs", b"Bearer whatever") is None


def test_settings_read_tenants_and_refuse_contradictions(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"

    def write(*tenants: TenantSettings) -> None:
        file.write_text("".join(f'[[tenants]]\nname = "{t.name}"\nkey_sha256 = "{t.key_sha256}"\n' for t in tenants))

    write(A, B)
    assert [each.name for each in settings_of(file, {}).tenants] == ["a", "b"]
    write(A, A)
    with pytest.raises(InputError, match="two have the same name"):
        settings_of(file, {})
    file.write_text('[[tenants]]\nname = "a"\nkey_sha256 = "secret-a"\n')
    with pytest.raises(InputError, match="key_sha256") as refused:
        settings_of(file, {})
    assert "secret-a" not in str(refused.value)
