"""Goal: the parts are stock classes that fit each other, and training reads text exactly as the pipeline does."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from brickwork.starter import build, export, text  # noqa: E402
from brickwork.starter.words import VOCABULARY  # noqa: E402

LONGEST = "a small red circle left of a large blue square on a dark background"


@pytest.fixture(scope="module")
def pipeline():  # type: ignore[no-untyped-def]
    return build.build_pipeline(seed=0)


def test_every_word_is_one_token() -> None:
    clip, t5 = build.build_clip_tokenizer(), build.build_t5_tokenizer()
    for word in VOCABULARY:
        assert len(clip(word).input_ids) == 3, word
        assert len(t5(word).input_ids) == 2, word
    numbers = [clip(word).input_ids[1] for word in VOCABULARY]
    assert len(set(numbers)) == len(VOCABULARY)


def test_the_longest_caption_fits() -> None:
    clip, t5 = build.build_clip_tokenizer(), build.build_t5_tokenizer()
    assert len(clip(LONGEST).input_ids) <= clip.model_max_length == build.TOKENS
    assert len(t5(LONGEST).input_ids) <= t5.model_max_length == build.TOKENS


def test_text_is_encoded_as_in_the_stock_pipeline(pipeline) -> None:  # type: ignore[no-untyped-def]
    captions = [LONGEST, "a red circle", ""]
    with torch.no_grad():
        own = text.encode(text.trained_parts(pipeline), text.tokenise(pipeline, captions))
        stock = pipeline.encode_prompt(
            captions, None, None, do_classifier_free_guidance=False, max_sequence_length=build.TOKENS
        )
    assert torch.equal(own[0], stock[0])
    assert torch.equal(own[1], stock[2])


def test_an_export_is_half_precision_on_disk_and_float32_when_loaded(pipeline, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export.export(pipeline, {}, tmp_path, {"seed": 0})
    loaded = export.load(tmp_path)
    assert pipeline.vae.dtype == torch.float32
    for name in export.MODELS:
        own, read = getattr(pipeline, name).state_dict(), getattr(loaded, name).state_dict()
        assert all(torch.equal(value.half().float(), read[key]) for key, value in own.items())
    picture = loaded("a red circle", num_inference_steps=1, height=64, width=64, max_sequence_length=build.TOKENS)
    assert picture.images[0].size == (64, 64)


def test_averaged_weights_replace_the_trained_ones(pipeline, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ones = torch.ones_like(pipeline.transformer.proj_out.bias)
    average = text.trained_parts(pipeline).state_dict() | {"transformer.proj_out.bias": ones}
    export.export(pipeline, average, tmp_path, {})
    assert torch.equal(export.load(tmp_path).transformer.proj_out.bias, ones)
    assert not torch.equal(pipeline.transformer.proj_out.bias, ones)
