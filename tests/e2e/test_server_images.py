"""Goal: the official OpenAI client works unmodified, streaming and errors included.

Method: that client against a real server process.
"""

import base64
import io

import httpx
import openai
import pytest
from PIL import Image

from support.server import ServerProcess


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def picture(b64: str | None) -> Image.Image:
    assert b64 is not None
    return Image.open(io.BytesIO(base64.b64decode(b64)))


def test_a_picture_of_a_prompt(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="a red circle", model="text-to-image", size="auto")
    assert answer.data is not None and len(answer.data) == 1
    assert picture(answer.data[0].b64_json).size == (64, 64) and answer.output_format == "png"


def test_n_pictures_differ_by_their_seeds(client: openai.OpenAI) -> None:
    options = {"seed": 5, "steps": 2, "deterministic": True}
    three = client.images.generate(prompt="a red circle", model="text-to-image-quick", n=3, extra_body=options)
    last = client.images.generate(prompt="a red circle", model="text-to-image-quick", extra_body=options | {"seed": 7})
    assert three.data is not None and last.data is not None
    assert len({image.b64_json for image in three.data}) == 3
    assert three.data[2].b64_json == last.data[0].b64_json


@pytest.mark.parametrize(("file_format", "name"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_formats_and_urls(client: openai.OpenAI, file_format: str, name: str) -> None:
    answer = client.images.generate(
        prompt="a red circle", response_format="url", output_format=file_format, output_compression=80  # type: ignore[call-overload]
    )  # fmt: skip
    url = answer.data[0].url
    file = httpx.get(url)
    assert file.headers["content-type"] == f"image/{file_format}"
    assert Image.open(io.BytesIO(file.content)).format == name


def test_a_stream_shows_the_picture_emerging(client: openai.OpenAI) -> None:
    stream = client.images.generate(
        prompt="a red circle", stream=True, partial_images=2, extra_body={"steps": 1000, "deterministic": True}
    )
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[-1] == "image_generation.completed" and 1 <= kinds.count("image_generation.partial_image") <= 2
    assert [event.partial_image_index for event in events[:-1]] == list(range(len(events) - 1))
    assert all(picture(event.b64_json).size == (64, 64) for event in events)
    assert events[-1].usage.total_tokens == 0


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()][:2] == ["text-to-image", "text-to-image-quick"]
    assert client.models.retrieve("image-to-image").owned_by == "brickwork"


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        client.images.generate(prompt="a rde circle")
    assert bad.value.param == "prompt" and "red" in str(bad.value)
    with pytest.raises(openai.BadRequestError) as unknown:
        client.images.generate(prompt="a red circle", model="nope")
    assert unknown.value.param == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")
    with pytest.raises(openai.RateLimitError) as late:
        client.images.generate(prompt="a red circle", extra_body={"deadline_s": 0.001, "steps": 1000})
    assert late.value.code == "deadline_too_short"


NOT_HONOURED = [("quality", "hd"), ("background", "transparent"), ("n", 0), ("n", 11), ("style", "vivid"), ("stepz", 3),
                ("response_format", "file")]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), NOT_HONOURED)
def test_what_is_not_honoured_is_refused(client: openai.OpenAI, field: str, value: object) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt="a red circle", extra_body={field: value})
    assert refused.value.param == field


def test_hanging_up_cancels(server: ServerProcess) -> None:
    """Nobody can come back for a picture that was asked for without an idempotency key."""
    body = {"prompt": "a blue square", "steps": 1000}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/images/generations", json=body, timeout=httpx.Timeout(30, read=0.3))
    (job,) = server.get("/v1/jobs?limit=1").json()["data"]
    assert job["inputs"]["prompt"] == "a blue square"
    assert server.ended(job["id"])["status"] == "canceled"
