"""The peer over HTTP: plain Diffusers behind FastAPI, one pipeline a process, requests one at a time as they come.

    python benchmarks/stock_server.py                       # the starter model, one thread, any free port

It speaks OpenAI's images contract, so that the same load tool drives it. There is no admission: it knows no deadlines.
"""

import argparse
import asyncio
import base64
import io
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from stock import PROMPTS, Stock


class Order(BaseModel):
    """Of OpenAI's fields those that this server knows; others are ignored."""

    prompt: str
    seed: int = 0


def build_app(stock: Stock, pipeline: ThreadPoolExecutor, steps: int, guidance: float) -> FastAPI:
    """pipeline    its one thread is the queue"""
    app = FastAPI()

    def png(order: Order) -> bytes:
        file = io.BytesIO()
        stock.image(order.prompt, order.seed, steps, guidance).save(file, "png")
        return file.getvalue()

    @app.post("/v1/images/generations")
    async def generate(order: Order) -> dict[str, Any]:
        picture = await asyncio.get_running_loop().run_in_executor(pipeline, png, order)
        return {"created": int(time.time()), "data": [{"b64_json": base64.b64encode(picture).decode()}]}

    return app


def _socket() -> socket.socket:
    """asyncio turns Nagle's algorithm off only where the protocol is named; with it, answers come 40 ms later."""
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)


def main() -> None:
    from brickwork.starter.quiet import quiet
    from brickwork.starter.workflows import STARTER, text_to_image

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    quiet()
    defaults = {item.name: item.default for item in text_to_image(options.model).inputs}
    with ThreadPoolExecutor(1) as pipeline, _socket() as listening:
        stock = pipeline.submit(Stock, options.model, options.threads).result()  # torch counts threads by caller
        pipeline.submit(stock.image, PROMPTS[0], 0, defaults["steps"], defaults["guidance"]).result()
        listening.bind(("127.0.0.1", options.port))
        listening.listen(1024)
        print(f"ready: http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        app = build_app(stock, pipeline, defaults["steps"], defaults["guidance"])
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run([listening])


if __name__ == "__main__":
    main()
