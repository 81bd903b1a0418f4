"""Goal: flags become typed values or an error that names the flag. Method: tables of texts."""

import pytest

from brickwork.cli.flags import parse_bytes, parse_inputs, shown
from brickwork.core.errors import InputError
from brickwork.graph.ir import Input
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT

DECLARED = [
    Input("steps", INT),
    Input("guidance", FLOAT),
    Input("tile", BOOL),
    Input("size", SIZE),
    Input("prompt", TEXT),
]


@pytest.mark.parametrize(
    "given, value",
    [
        ({"steps": "12"}, 12), ({"guidance": "2"}, 2.0), ({"guidance": "1e1"}, 10.0), ({"tile": "Yes"}, True),
        ({"tile": "0"}, False), ({"size": "64x64"}, "64x64"), ({"prompt": "12"}, "12"),
    ],
)  # fmt: skip
def test_values_are_typed(given: dict[str, str], value: object) -> None:
    (parsed,) = parse_inputs(DECLARED, given).values()
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("given", [{"steps": "1.5"}, {"steps": "x" * 10_000}, {"guidance": "two"}, {"tile": "maybe"}])
def test_wrong_texts_name_the_flag_and_stay_short(given: dict[str, str]) -> None:
    (name,) = given
    with pytest.raises(InputError, match=f"^{name}: expected") as caught:
        parse_inputs(DECLARED, given)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "text, value",
    [("1GiB", 1 << 30), ("512 MiB", 1 << 29), ("1.5KB", 1500), ("2000000", 2_000_000), ("3gb", 3 * 10**9)],
)
def test_sizes(text: str, value: int) -> None:
    assert parse_bytes("memory-budget", text) == value


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "1 PiB", "1,5GiB", "1e9"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(InputError, match="memory-budget"):
        parse_bytes("memory-budget", text)


def test_help_tells_bounds_choices_and_default() -> None:
    item = Input("size", SIZE, default="auto", doc="In pixels.", choices=((64, 48),))
    assert shown(item) == "In pixels. One of 48x64. [default: auto]"
    item = Input("steps", INT, default=12, doc="Steps.", minimum=1, maximum=50)
    assert shown(item) == "Steps. 1 to 50. [default: 12]"
