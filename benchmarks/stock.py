"""The peer: the stock Diffusers pipeline on the starter model, fp32, with the settings of brickwork's text-to-image.

As a program it is a stock server process: it reads lists of [prompt, seed] as JSON lines and answers each list with a
line when all its pictures are made.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SINGLES = ("a red circle", "a blue square", "a green triangle")
PAIRS = ("a red circle above a blue square", "a green triangle left of a yellow circle")
PROMPTS = SINGLES + PAIRS


class Stock:
    """A loaded pipeline. `image` is one request, batch 1."""

    def __init__(self, directory: Path, threads: int):
        import torch
        from diffusers import StableDiffusion3Pipeline

        torch.set_num_threads(threads)
        self._torch = torch
        self._pipe = StableDiffusion3Pipeline.from_pretrained(directory, dtype=torch.float32, local_files_only=True)
        self._pipe.set_progress_bar_config(disable=True)

    def image(self, prompt: str, seed: int, steps: int, guidance: float) -> Any:
        generator = self._torch.Generator("cpu").manual_seed(seed)
        return self._pipe(
            prompt,
            num_inference_steps=steps,
            guidance_scale=guidance,
            max_sequence_length=self._pipe.tokenizer_3.model_max_length,
            generator=generator,
        ).images[0]


class StockProcesses:
    """`count` processes of `threads` threads that share a list of jobs evenly; ready when constructed."""

    def __init__(self, count: int, threads: int, directory: Path, steps: int, guidance: float):
        settings = [str(directory), str(threads), str(steps), str(guidance)]
        command = [sys.executable, __file__, *settings]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        self([(PROMPTS[0], 0)] * count)

    def __call__(self, jobs: list[tuple[str, int]]) -> None:
        for k, process in enumerate(self._processes):
            print(json.dumps(jobs[k :: len(self._processes)]), file=process.stdin, flush=True)
        for process in self._processes:
            if not process.stdout.readline():
                raise RuntimeError("a stock process died")

    def close(self) -> None:
        for process in self._processes:
            process.stdin.close()
            process.wait()


def main(directory: str, threads: str, steps: str, guidance: str) -> None:
    stock = Stock(Path(directory), int(threads))
    for line in sys.stdin:
        for prompt, seed in json.loads(line):
            stock.image(prompt, seed, int(steps), float(guidance))
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
