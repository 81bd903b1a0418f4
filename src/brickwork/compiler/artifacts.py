"""Make a workflow write its pictures where they are made, and return their names instead of their pixels.

Not part of the pipeline: a server asks for it, an embedded run does not. The new node has no model, so it rides
with the task that makes the picture (task_fusion), and the executor that holds the pixels writes the file.

    %decode = vae.decode<vae>(...)             %decode = vae.decode<vae>(...)
    %image = image.to_uint8(...)        ->     %image = image.to_uint8(...)
    return image=%image.image                  %save_image = artifact.png(image=%image.image) {directory="..."}
                                               return image=%save_image.key
"""

from dataclasses import replace
from pathlib import Path

from brickwork.graph.ir import Graph, Node, Use
from brickwork.graph.rewrite import outputs_of
from brickwork.graph.types import Type

KEY = Type("artifact", dtype="uint8", shape=(1, 32))
"""The sha256 of the file's bytes, which is its name; 28 zeros and an errno when it could not be written."""


def write_artifacts(graph: Graph, directory: Path) -> Graph:
    """A graph whose pictures (results of space "image") become keys of PNG files below `directory`, absolute."""
    types = {item.name: item.type for item in graph.inputs}
    types |= {value: type_ for item in graph.nodes for value, type_ in outputs_of(item)}
    nodes, outputs = list(graph.nodes), []
    for name, value in graph.outputs:
        type_ = types[value]
        if type_.space != "image" or type_.dtype != "uint8":
            outputs.append((name, value))
            continue
        node = Node(
            name=_free(f"save_{name}", graph),
            op="artifact.png",
            model=None,
            inputs=(Use("image", value, type_),),
            outputs=(("key", KEY),),
            attrs=(("directory", str(directory)),),
        )
        nodes.append(node)
        outputs.append((name, f"{node.name}.key"))
    return replace(graph, nodes=tuple(nodes), outputs=tuple(outputs))


def _free(name: str, graph: Graph) -> str:
    taken = {item.name for item in graph.nodes} | {item.name for item in graph.inputs}
    while name in taken:
        name += "_"
    return name
