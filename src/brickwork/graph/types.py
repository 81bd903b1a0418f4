"""Types of the values that flow in a graph: a *space*, whose space it is, and a tensor's shape.

A type without dtype is a scalar that travels by value inside messages (`text`, `int`, `float`, `bool`, `size`).
A type with dtype is a tensor. Two types connect when space, owner, dtype and shape are equal; an SD3 latent
and a Flux latent differ in their owner (`of`), so a wrong VAE is refused when the workflow is declared.
"""

from dataclasses import dataclass

SCALAR_SPACES = ("text", "int", "float", "bool", "size")


@dataclass(frozen=True, slots=True)
class Dim:
    """One axis that depends on the request: `scalar * times // over`."""

    scalar: str  # name of an `int` value of the graph
    times: int = 1
    over: int = 1


@dataclass(frozen=True, slots=True)
class Type:
    """What a value is."""

    space: str  # "text", "image", "latent", "embedding", ...
    of: str = ""  # whose space: digest of the model that defines it; "" for spaces that all models share
    dtype: str = ""  # a key of core.tensor.ITEM_BYTES; "" for scalars
    shape: tuple[int | Dim, ...] = ()

    @property
    def is_tensor(self) -> bool:
        return self.dtype != ""


def video_type(shape: tuple[int | Dim, ...], frames_per_second: int) -> Type:
    """A clip, uint8 [1, frames, height, width, 3]. Its rate is part of what it is: it owns the space."""
    return Type("video", f"fps-{frames_per_second}", "uint8", shape)


def rate_of(video: Type) -> int:
    """Frames per second of a clip's type."""
    return int(video.of.removeprefix("fps-"))


TEXT = Type("text")
INT = Type("int")
FLOAT = Type("float")
BOOL = Type("bool")
SIZE = Type("size")
