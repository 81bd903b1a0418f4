"""Goal: which fabric two processes use, for each thing that they may have in common or not; both ends find the same."""

from dataclasses import replace

import pytest

from brickwork.data.fabric.select import Party, select, this_party
from brickwork.data.fabric.word import CapabilityWord

NATIVE = CapabilityWord(True, True, True)
PART = CapabilityWord(True, False, True)
SOFTWARE = CapabilityWord(False, False, False)
NIC = Party("boot-1", "mnt:1 pid:1", "1.17.0", ("self", "tcp", "rc_mlx5", "ud_mlx5"), NATIVE)
FAR = replace(NIC, boot_id="boot-2")
PLAIN = Party("boot-3", "mnt:1 pid:1")


@pytest.mark.parametrize(
    ("one", "other", "fabric", "words"),
    [
        (PLAIN, PLAIN, "shm", "same kernel"),
        (NIC, replace(NIC, ucx=SOFTWARE), "shm", "same kernel"),
        (NIC, FAR, "ucx", "rc_mlx5"),
        (NIC, replace(FAR, ucx_version="1.22.0"), "ucx", "one-sided"),
        (NIC, replace(NIC, memory_space="mnt:2 pid:1"), "ucx", "another namespace of this host"),
        (PLAIN, replace(PLAIN, memory_space="mnt:1 pid:2"), "tcp", "another namespace of this host"),
        (PLAIN, replace(PLAIN, boot_id="boot-4"), "tcp", "missing on both sides"),
        (NIC, PLAIN, "tcp", "missing on one side"),
        (NIC, replace(FAR, ucx=PART), "tcp", "not one-sided"),
        (replace(NIC, ucx=SOFTWARE), FAR, "tcp", "not one-sided"),
        (NIC, replace(FAR, ucx_transports=("self", "tcp", "dc_mlx5")), "tcp", "no native transport in common"),
        (NIC, replace(FAR, ucx_version="2.0.1"), "tcp", "do not fit"),
    ],
)
def test_table(one: Party, other: Party, fabric: str, words: str) -> None:
    choice = select(one, other)
    assert (choice.fabric, words in choice.reason) == (fabric, True), choice
    assert select(other, one).fabric == choice.fabric


def test_a_process_finds_itself_near() -> None:
    assert select(this_party(), this_party()).fabric == "shm"


def test_a_word_in_words() -> None:
    assert "nobody at the target" in str(NATIVE) and NATIVE.is_one_sided and not NATIVE.needs_target_progress
    assert str(PART) == "native put, atomics; the rest needs a thread of the target" and PART.needs_target_progress
    assert "nothing" in str(SOFTWARE)
