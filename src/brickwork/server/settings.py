"""What a server is told: flags over environment (`BRICKWORK_...`) over a TOML file over defaults."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from brickwork.cli.flags import parse_bytes
from brickwork.core.errors import InputError
from brickwork.server.tenants import TenantSettings, checked


def default_state_dir() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "brickwork"


def _bytes(text: str) -> str:
    parse_bytes("memory_budget", text)
    return text


class Settings(BaseSettings):
    """Of one server. Field names are the keys of the file; flags have dashes, variables capitals."""

    model_config = SettingsConfigDict(env_prefix="BRICKWORK_", extra="forbid")

    workflows: list[str] = []  # module:name, file.py:name or shipped names; []: all that are shipped
    model: Path | None = None  # model directory of shipped workflows, instead of the starter
    executors: Annotated[int, Field(ge=1, le=39)] = 2
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    memory_budget: Annotated[str, AfterValidator(_bytes)] = "1GiB"
    start_method: Annotated[str, Field(pattern="^(forkserver|spawn)$")] = "forkserver"
    state_dir: Path = Field(default_factory=default_state_dir)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    drain_seconds: Annotated[float, Field(ge=0, le=86400)] = 30.0
    keep_days: Annotated[float, Field(ge=0.001, le=36500)] = 30.0  # jobs that have ended, and their pictures
    tenants: Annotated[list[TenantSettings], AfterValidator(checked)] = []  # []: nobody needs a key
    max_body_bytes: Annotated[int, Field(ge=1000, le=10**9)] = 10_000_000

    @property
    def memory_bytes(self) -> int:
        return parse_bytes("memory_budget", self.memory_budget)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def settings_of(config: Path | None, flags: dict[str, Any]) -> Settings:
    """The settings of a server.

    config    TOML file; None: none
    flags     what the command line gave, by field
    raises    InputError that names the setting, and the file when it comes from there
    """
    if config is not None:
        _check_readable(config)
    bound = type("Settings", (Settings,), {"model_config": SettingsConfigDict(toml_file=config)})
    try:
        settings: Settings = bound(**flags)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        text = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise InputError(field, f"{text} (flag --{field.replace('_', '-')}, variable BRICKWORK_{field.upper()}, "
                                f"or {config or 'a --config file'})") from None  # fmt: skip
    return settings


def _check_readable(config: Path) -> None:
    try:
        with config.open("rb") as file:
            tomllib.load(file)
    except OSError as error:
        raise InputError("config", f"{config} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("config", f"{config} is not valid TOML: {error}") from None
