"""Goal: a profile survives its file, and a wrong file is refused with the field that is wrong.

Method: write and read back; one broken field at a time.
"""

from pathlib import Path

import pytest

from brickwork.profile.errors import ProfileError
from brickwork.profile.files import parse_profile, read_profile, starter_profile, write_profile

GOOD = """
format: brickwork-profile/1
source: round numbers
devices:
  cpu-1:
    load: {base_s: 0.01, bytes_per_s: 1.0e+9}
    calls:
      Vae/decode:
        16x8x8: {seconds: {1: 0.008, 2: 0.014}, activation_bytes: {1: 100000}}
"""


def test_what_is_written_is_read_back() -> None:
    for profile in (parse_profile(GOOD), starter_profile()):
        assert parse_profile(write_profile(profile, "a test")) == profile


def test_the_shipped_profile_knows_the_starter() -> None:
    profile = starter_profile()
    step_s = profile.call_s("cpu-1", "SD3Transformer2DModel-0123abcd/sd3.predict", "1x16x8x8", 2)
    assert step_s == pytest.approx(0.014383)
    assert profile.call_s("cpu-1", "T5EncoderModel-0123abcd/text.t5", "1x16x128", 8) == pytest.approx(0.002898)


@pytest.mark.parametrize(
    ("old", "new", "field", "expected"),
    [
        ("brickwork-profile/1", "brickwork-profile/9", "format", "expected 'brickwork-profile/1'"),
        ("0.008", "fast", "devices.cpu-1.calls.Vae/decode.16x8x8.seconds.1", "expected a number >= 0, found 'fast'"),
        ("0.014", "-1", "devices.cpu-1.calls.Vae/decode.16x8x8.seconds.2", "expected a number >= 0, found -1"),
        ("2: 0.014", "0: 0.014", "devices.cpu-1.calls.Vae/decode.16x8x8.seconds.0", "number of rows >= 1"),
        ("16x8x8", "16x8xlarge", "devices.cpu-1.calls.Vae/decode.16x8xlarge", 'a shape such as "16x8x8"'),
        ("bytes_per_s: 1.0e+9", "bytes_per_s: 0", "devices.cpu-1.load.bytes_per_s", "expected a number > 0"),
        ("base_s: 0.01, ", "", "devices.cpu-1.load.base_s", "is missing"),
        ("source: round numbers", "sauce: round numbers", "sauce", "is not known here"),
    ],
)
def test_an_error_names_the_field(old: str, new: str, field: str, expected: str) -> None:
    with pytest.raises(ProfileError) as raised:
        parse_profile(GOOD.replace(old, new, 1), "my.yaml")
    assert str(raised.value).startswith(f"my.yaml: {field}: ")
    assert expected in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "just words"])
def test_a_file_without_a_table_is_refused(text: str) -> None:
    with pytest.raises(ProfileError, match="expected a table"):
        parse_profile(text, "my.yaml")


def test_broken_yaml_names_the_line() -> None:
    with pytest.raises(ProfileError, match=r"my.yaml: line 3: "):
        parse_profile("format: x\nsource: y\n  devices: [", "my.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none.yaml: cannot be read"):
        read_profile(tmp_path / "none.yaml")
