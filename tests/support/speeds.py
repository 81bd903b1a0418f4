"""A profile of two types of device: the shipped h800, and `slow`, whose calls take longer."""

from dataclasses import replace

from brickwork.profile.files import shipped_profile
from brickwork.profile.table import CallProfile, Curve, Profile


def fast_and_slow(slower: float) -> Profile:
    """Calls on `slow` take `slower` times as long as on `h800`; loads take as long."""

    def slowed(call: CallProfile) -> CallProfile:
        return replace(call, seconds=Curve(tuple((rows, seconds * slower) for rows, seconds in call.seconds.points)))

    shipped = shipped_profile("h800")
    fast = shipped.devices["h800"]
    calls = {key: {shape: slowed(call) for shape, call in shapes.items()} for key, shapes in fast.calls.items()}
    return replace(shipped, devices={"h800": fast, "slow": replace(fast, calls=calls)})
