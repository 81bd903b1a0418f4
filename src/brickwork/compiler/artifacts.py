"""Make a workflow write its pictures and clips where they are made, and return their names instead of their pixels.

Not part of the pipeline: a server asks for it, an embedded run does not. The new node has no model, so it rides
with the task that makes the picture (task_fusion), and the executor that holds the pixels writes the file.

    %decode = vae.decode<vae>(...)             %decode = vae.decode<vae>(...)
    %image = image.to_uint8(...)        ->     %image = image.to_uint8(...)
    return image=%image.image                  %save_image = artifact.image(image=%image.image) {directory="...", ...}
                                               return image=%save_image.key
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from brickwork.graph.ir import Graph, Node, Use
from brickwork.graph.rewrite import outputs_of
from brickwork.graph.types import Type, rate_of

FILES = {"image": "png", "video": "mp4"}
"""Spaces whose tensors become files, and the format that a server keeps them in."""


def key_type(file_format: str) -> Type:
    """The sha256 of a file's bytes, which is its name; 28 zeros and an errno when it could not be written."""
    return Type("artifact", of=file_format, dtype="uint8", shape=(1, 32))


def write_artifacts(graph: Graph, directory: Path, formats: Mapping[str, str] = FILES) -> Graph:
    """A graph whose results become keys of files below `directory`, absolute.

    formats   by space of a result; others stay as they are
    """
    types = {item.name: item.type for item in graph.inputs}
    types |= {value: type_ for item in graph.nodes for value, type_ in outputs_of(item)}
    nodes, outputs = list(graph.nodes), []
    for name, value in graph.outputs:
        type_ = types[value]
        if type_.space not in formats or type_.dtype != "uint8":
            outputs.append((name, value))
            continue
        node = Node(
            name=_free(f"save_{name}", graph),
            op=f"artifact.{type_.space}",
            model=None,
            inputs=(Use(type_.space, value, type_),),
            outputs=(("key", key_type(formats[type_.space])),),
            attrs=(("directory", str(directory)), ("file_format", formats[type_.space]), *_rate(type_)),
        )
        nodes.append(node)
        outputs.append((name, f"{node.name}.key"))
    return replace(graph, nodes=tuple(nodes), outputs=tuple(outputs))


def _rate(type_: Type) -> tuple[tuple[str, int], ...]:
    return (("frames_per_second", rate_of(type_)),) if type_.space == "video" else ()


def _free(name: str, graph: Graph) -> str:
    taken = {item.name for item in graph.nodes} | {item.name for item in graph.inputs}
    while name in taken:
        name += "_"
    return name
