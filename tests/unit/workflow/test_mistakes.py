"""Goal: an author's mistake is reported at the author's line, with what was expected and what came.

Method: a table of workflow bodies, each with one mistake in the line marked `# here`; each is written to a file of its
own and imported, as an author's module would be.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from brickwork.core.errors import WorkflowError
from support.tiny_sd3 import build_tiny_sd3

HEAD = """
import brickwork as bw
from brickwork.workflow.loop import counted_loop
from brickwork.workflow.trace import emit
sd3, other = bw.family("tiny"), bw.family("other")

"""
SIGNATURE = "prompt: str, size: bw.Size = 'auto', steps: int = 4, guidance: float = 2.0, seed: int = 0"

MISTAKES = {
    "if on an input": ("if steps > 3: pass  # here", "gt.value is known only when a request runs"),
    "and": ("steps > 3 and steps < 5  # here", "Compute with it"),
    "min": ("min(steps, 3)  # here", "is known only when a request runs"),
    "loop over an input": ("for k in range(steps): pass  # here", "steps (int) is known only when"),
    "loop over text": ("[letter for letter in prompt]  # here", "prompt (text) is known only when"),
    "format": ("sd3.encode(f'{prompt}, in ink')  # here", "or turned into text"),
    "concatenate": ("sd3.encode(prompt + ', in ink')  # here", "there is no add of text and text"),
    "compute with latents": ("sd3.noise(seed, size) * 2  # here", "there is no mul of latent of vae-"),
    "wrong keyword": ("sd3.encode(promt=prompt)  # here", "encode: there is no promt, perhaps prompt; it takes prompt"),
    "missing argument": ("sd3.noise(seed)  # here", "noise: missing a required argument: 'size'; it takes seed, size"),
    "too many arguments": ("sd3.encode(prompt, prompt)  # here", "encode: too many positional arguments"),
    "wrong scalar": ("sd3.noise(prompt, size)  # here", "noise: seed: expected int, got text (prompt)"),
    "float for int": ("sd3.noise(0.5, size)  # here", "noise: seed: expected int, got float 0.5"),
    "None": ("sd3.encode(None)  # here", "encode: prompt: expected text, got None"),
    "impossible size": ("sd3.noise(seed, (63, 64))  # here", "64x63 is not a size that the model draws"),
    "constant out of range": (
        "sd3.denoise(sd3.noise(seed, size), sd3.encode(prompt), steps=0, guidance=guidance)  # here",
        "denoise: steps: 0 is out of range; choose from 1 to 1000",
    ),
    "word that the model does not know": ("sd3.encode('a yellow circle')  # here", "unknown words: 'yellow'"),
    "latents where text is due": (
        "sd3.denoise(sd3.noise(seed, size), sd3.noise(seed, size), steps=steps, guidance=guidance)  # here",
        "denoise: text: expected conditioning of joint-",
    ),
    "text of another model": (
        "sd3.denoise(sd3.noise(seed, size), other.encode(prompt), steps=steps, guidance=guidance)  # here",
        "denoise: text: expected embedding of joint-",
    ),
    "foreign latents": ("sd3.decode(other.noise(seed, size))  # here", "decode: latents: expected latent of vae-"),
    "an int for latents": ("sd3.decode(seed)  # here", "decode: latents: expected latent of vae-"),
    "a string for latents": ("sd3.decode('latents')  # here", "got str 'latents'"),
    "image of open size": ("sd3.encode_image(photo)  # here", "the size of photo is open"),
    "image fitted twice": (
        "sd3.encode_image(photo, size); sd3.encode_image(photo, (64, 64))  # here",
        "photo was fitted to another size before",
    ),
    "value of a loop used outside": (
        "kept = []\n"
        "    def body(i, x):\n"
        "        kept.append(emit('my.op', {'x': x}, {'x': x.type})['x'])\n"
        "        return {'x': kept[0]}\n"
        "    counted_loop('mine', 0, steps, {'x': sd3.noise(seed, size)}, body)\n"
        "    sd3.decode(kept[0])  # here",
        "decode: latents: op.x exists only inside loop mine; carry it out of the loop",
    ),
    "loop changes its carry's type": (
        "def body(i, x):\n"
        "        return {'x': emit('vae.see', {'x': x}, {'y': photo.type})['y']}\n"
        "    counted_loop('mine', 0, steps, {'x': sd3.noise(seed, size)}, body)  # here",
        "mine: x enters a trip as latent of vae-",
    ),
    "loop in a loop": (
        "def body(i, x):\n"
        "        return counted_loop('inner', 0, 2, {'x': x}, body)  # here\n"
        "    counted_loop('outer', 0, steps, {'x': sd3.noise(seed, size)}, body)",
        "inner: a loop inside a loop is not possible; end loop outer first",
    ),
    "arithmetic on the trip": (
        "def body(i, x):\n"
        "        i + 1  # here\n"
        "        return {'x': x}\n"
        "    counted_loop('mine', 0, steps, {'x': sd3.noise(seed, size)}, body)",
        "changes from trip to trip",
    ),
}  # fmt: skip

SIGNATURES = {
    "no annotation": ("prompt", "prompt: expected an annotation, one of str, int, float, bool, bw.Size, bw.Image"),
    "unknown annotation": ("prompt: list", "prompt: expected one of str, int, float"),
    "star": ("*prompts: str", "prompts: a workflow names each of its inputs"),
    "wrong default": ("steps: int = 0.5", "steps: its default is wrong: expected a whole number, got float 0.5"),
    "default out of bounds": (
        "steps: int = bw.input(20, maximum=10)",
        "steps: its default is not allowed: 20 is out of range; choose at most 10",
    ),
    "wrong choice": ("steps: int = bw.input(2, choices=(2, 'many'))", "steps: choice 'many' is no int"),
    "wrong size to choose": ("size: bw.Size = bw.input('8x8', choices=('8x8', 'A4'))", "size: choice 'A4' is no size"),
    "name that every request has": ("deadline_s: float = 1.0", "deadline_s: this name is taken"),
    "image that nobody uses": ("photo: bw.Image", "photo: this image is used by nothing that knows its size"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two SD3 models of different weights."""
    root = tmp_path_factory.mktemp("models")
    build_tiny_sd3(root / "tiny")
    build_tiny_sd3(root / "other", seed=1)
    return root


@pytest.fixture
def write(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Import a module of this source; returns it and the line marked `# here`."""
    monkeypatch.chdir(models)

    def load(source: str) -> tuple[ModuleType | WorkflowError, str]:
        path = tmp_path / "mistake.py"
        path.write_text(HEAD + source)
        line = next((k for k, text in enumerate(path.read_text().split("\n"), 1) if "# here" in text), 0)
        spec = importlib.util.spec_from_file_location("mistake", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except WorkflowError as error:
            return error, f"{path}:{line}"
        return module, f"{path}:{line}"

    return load


@pytest.mark.parametrize(("body", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_reported_at_its_line(write, body: str, expected: str) -> None:  # type: ignore[no-untyped-def]
    error, line = write(f"@bw.workflow\ndef demo({SIGNATURE}, *, photo: bw.Image):\n    {body}\n")
    assert isinstance(error, WorkflowError), "the mistake went unnoticed"
    assert error.where == line
    assert expected in error.message


@pytest.mark.parametrize(("parameters", "expected"), SIGNATURES.values(), ids=SIGNATURES)
def test_a_wrong_signature_is_reported(write, parameters: str, expected: str) -> None:  # type: ignore[no-untyped-def]
    body = "return sd3.decode(sd3.noise(0, 'auto'))"
    error, line = write(f"@bw.workflow  # here\ndef demo({parameters}):\n    {body}\n")
    assert isinstance(error, WorkflowError)
    assert error.where == line
    assert expected in error.message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@bw.workflow  # here\ndef demo(seed: int) -> bw.Image:\n    return sd3.noise(seed, 'auto')\n",
         "the workflow promises image, but returns latent of vae-"),
        ("@bw.workflow  # here\ndef demo(seed: int):\n    sd3.noise(seed, 'auto')\n",
         "a workflow returns one value or a dict of named values, got None"),
        ("@bw.workflow  # here\ndef demo(seed: int):\n    return {'a b': seed}\n", "result 'a b' must be a name"),
        ("sd3.encode('a circle')  # here\n", "must be called inside a function under @bw.workflow"),
        ("bw.workflow(3)  # here\n", "@bw.workflow is written without parentheses, above a plain function"),
        ("@bw.workflow\ndef inner(steps: int):\n    return steps * 2\n"
         "@bw.workflow\ndef outer(n: int):\n    return inner(step=n)  # here\n",
         "inner: step is no input; it takes steps"),
        ("@bw.workflow\ndef inner(steps: int):\n    return steps * 2\ninner(3)  # here\n",
         "workflow inner declares a node, so it must be called inside a function under @bw.workflow"),
        ("kept = []\n@bw.workflow\ndef one(n: int):\n    kept.append(n)\n    return n\n"
         "@bw.workflow\ndef two(n: int):\n    return kept[0] + n  # here\n", "n belongs to another workflow"),
    ],
    ids=lambda value: value[-40:],
)  # fmt: skip
def test_a_mistake_around_a_workflow_is_reported(write, source: str, expected: str) -> None:  # type: ignore[no-untyped-def]
    error, line = write(source)
    assert isinstance(error, WorkflowError)
    assert error.where == line
    assert expected in error.message
