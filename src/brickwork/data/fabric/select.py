"""Which fabric two processes use. A pure function of what each tells of itself; `brickwork doctor` prints it."""

from dataclasses import dataclass
from pathlib import Path

from brickwork.data.fabric.word import CapabilityWord


@dataclass(frozen=True)
class Party:
    """What a process tells its peers of itself.

    boot_id           of the kernel it runs on
    memory_space      equal where descriptors of shared memory can be handed over and deaths be seen (namespaces)
    ucx_version       "" without UCX
    ucx_transports    its network transports
    ucx               what the self-test found over them; None without UCX
    """

    boot_id: str
    memory_space: str
    ucx_version: str = ""
    ucx_transports: tuple[str, ...] = ()
    ucx: CapabilityWord | None = None


@dataclass(frozen=True)
class Choice:
    """`fabric` is shm, ucx or tcp; `reason` is for people."""

    fabric: str
    reason: str


def select(one: Party, other: Party) -> Choice:
    """The same for both ends: memory where it is shared, else UCX where all its verbs are native, else tcp."""
    if one.boot_id == other.boot_id and one.memory_space == other.memory_space:
        return Choice("shm", "same kernel, same namespaces")
    apart = "another host" if one.boot_id != other.boot_id else "another namespace of this host"
    if not one.ucx or not other.ucx:
        return Choice("tcp", f"{apart}; UCX is missing on {'both sides' if not (one.ucx or other.ucx) else 'one side'}")
    if not (one.ucx.is_one_sided and other.ucx.is_one_sided):
        return Choice("tcp", f"{apart}; UCX is not one-sided here")
    common = [name for name in one.ucx_transports if name in other.ucx_transports and name not in ("self", "tcp")]
    if not common:
        return Choice("tcp", f"{apart}; the UCX of the two has no native transport in common")
    if one.ucx_version.split(".")[0] != other.ucx_version.split(".")[0]:
        return Choice("tcp", f"{apart}; UCX {one.ucx_version} and {other.ucx_version} do not fit")
    return Choice("ucx", f"{apart}; one-sided over {', '.join(common)}")


def this_party(ucx_version: str = "", ucx_transports: tuple[str, ...] = (), ucx: CapabilityWord | None = None) -> Party:
    """This process's own description; what concerns UCX comes from a probe."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    spaces = [str(Path(f"/proc/self/ns/{name}").readlink()) for name in ("mnt", "pid")]
    return Party(boot_id, " ".join(spaces), ucx_version, ucx_transports, ucx)
