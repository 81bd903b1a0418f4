"""Strict request models, generated from what workflows declare.

A workflow's `Input` has everything a schema needs (type, default, bounds, documentation); `inputs_model` carries it
into pydantic, and so into the OpenAPI document. The verdict on a value stays with `brickwork.workflow.inputs`, so that
Python, the command line and HTTP refuse the same values with the same words.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)

from brickwork.core.errors import InputError
from brickwork.core.request import SLO
from brickwork.graph.ir import Input
from brickwork.workflow.api import Workflow
from brickwork.workflow.inputs import check, check_degrade, show_size

MAX_DEADLINE_S = 30 * 86400.0


class Strict(BaseModel):
    """A request model: no coercion, no unknown names."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_names(cls, value: Any) -> Any:
        """As pydantic's own refusal, but with the name that was probably meant."""
        if isinstance(value, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for name in value:
                if name not in known:
                    close = difflib.get_close_matches(str(name)[:80], known, n=1)
                    hint = f" (did you mean {close[0]!r}?)" if close else ""
                    raise InputError(str(name)[:80], f"there is no such parameter{hint}")
        return value


class JobOptions(Strict):
    """What every job may ask for beside its inputs."""

    deadline_s: Annotated[
        float | None,
        Field(gt=0, le=MAX_DEADLINE_S, description="Seconds from now to the result; refused when it can't be had."),
    ] = None
    deterministic: Annotated[
        bool, Field(description="Never share a batch, so that equal requests give bit-equal results.")
    ] = False
    if_late: Annotated[
        Literal["stop", "continue"],
        Field(description="Once the deadline cannot be met: end as expired, or go on behind all that can be in time."),
    ] = "stop"
    degrade: Annotated[
        dict[str, int] | None,
        Field(description='Inputs to lower rather than be refused, with their least values: {"steps": 8}.'),
    ] = None

    def slo(self, inputs: Sequence[Input]) -> SLO:
        """What is asked of the schedule. raises InputError about `degrade`"""
        return SLO(self.deadline_s, self.deterministic, self.if_late, check_degrade(inputs, self.degrade or {}))


def job_body(workflows: Sequence[Workflow]) -> Any:
    """The body of POST /v1/jobs: one model a workflow, told apart by `workflow`."""
    models = [_job_model(workflow) for workflow in workflows]
    if len(models) == 1:
        return models[0]
    return Annotated[Union[tuple(models)], Field(discriminator="workflow")]  # noqa: UP007 - from a list


def _job_model(workflow: Workflow) -> type[Strict]:
    inputs = inputs_model(workflow)
    is_optional = all(item.default is not None for item in workflow.inputs)
    return create_model(
        f"{_camel(workflow.name)}Job",
        __base__=JobOptions,
        __doc__=workflow.graph.doc or None,
        workflow=(_exactly(workflow.name), Field(description="Name of the workflow.")),
        inputs=(inputs, inputs() if is_optional else Field(description="Inputs of the workflow, by name.")),
    )


def _exactly(text: str) -> Any:
    return Literal[text]


def inputs_model(workflow: Workflow) -> type[Strict]:
    """The inputs of one workflow as an object."""
    return create_model(f"{_camel(workflow.name)}Inputs", __base__=Strict, **input_fields(workflow.inputs))


def input_fields(inputs: Sequence[Input]) -> dict[str, Any]:
    """Fields for `create_model`. An input's name is the alias, for it may be one that pydantic uses itself."""
    return {
        f"input_{k}": (_value_type(item), Field(... if item.default is None else _default(item), alias=item.name))
        for k, item in enumerate(inputs)
    }


def given(model: BaseModel, inputs: Sequence[Input]) -> dict[str, Any]:
    """The inputs that the caller gave, by name."""
    values = model.model_dump(by_alias=True, exclude_unset=True)
    return {item.name: values[item.name] for item in inputs if item.name in values}


def one_of(models: dict[str, type[Strict]], field: str, default: str) -> Any:
    """A body told apart by a field that may be left out."""

    def tag(value: Any) -> str | None:
        named = value.get(field, default) if isinstance(value, dict) else None
        return named if named is None or isinstance(named, str) else default

    tag.__name__ = field  # as errors name it
    if len(models) == 1:
        return next(iter(models.values()))
    members = tuple(Annotated[model, Tag(name)] for name, model in models.items())
    return Annotated[Union[members], Discriminator(tag)]  # noqa: UP007 - from a list


def _value_type(item: Input) -> Any:
    """Any value that `check` accepts, described as what it accepts."""

    def verdict(value: Any) -> Any:
        if value is None:
            raise InputError(item.name, "null is no value; leave the input out to have its default")
        if item.type.space in _AS_TEXT and not isinstance(value, str):
            raise InputError(item.name, f"expected {_AS_TEXT[item.type.space]}, got {type(value).__name__}")
        check(item, value)
        return value

    return Annotated[Any, PlainValidator(verdict), WithJsonSchema(json_schema(item))]


PICTURE = "a picture as data:image/png;base64,... or the id of an artifact of this server"

_AS_TEXT = {"size": "auto, or a size as 1024x768 (width x height)", "image": PICTURE}
"""Inputs that are texts in JSON, whatever else Python takes for them."""


def json_schema(item: Input) -> dict[str, Any]:
    """What `item` accepts, as far as JSON Schema can say it. Words of a vocabulary stand under `x-words`."""
    schema: dict[str, Any] = {"title": item.name, **_SHAPES[item.type.space](item)}
    if item.doc:
        schema["description"] = item.doc
    return schema


def _default(item: Input) -> Any:
    return show_size(item.default) if isinstance(item.default, tuple) else item.default


def _text_shape(item: Input) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "string"}
    if item.minimum:
        shape["minLength"] = 1
    if item.max_chars is not None:
        shape["maxLength"] = item.max_chars
    if item.choices:
        shape["enum"] = list(item.choices)
    if item.words:
        shape["x-words"] = list(item.words)
        shape["examples"] = [" ".join(item.words[: min(3, item.max_words or 3)])]
    return shape


def _number_shape(item: Input) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "integer" if item.type.space == "int" else "number"}
    if item.minimum is not None:
        shape["minimum"] = item.minimum
    if item.maximum is not None:
        shape["maximum"] = item.maximum
    if item.choices:
        shape["enum"] = list(item.choices)
    return shape


def _size_shape(item: Input) -> dict[str, Any]:
    if item.choices and item.multiple_of is None:
        return {"type": "string", "enum": ["auto", *(show_size(c) for c in item.choices if isinstance(c, tuple))]}
    return {"type": "string", "pattern": "^(auto|[0-9]{1,6}x[0-9]{1,6})$", "x-multiple-of": item.multiple_of or 1}


_SHAPES: dict[str, Callable[[Input], dict[str, Any]]] = {
    "text": _text_shape,
    "int": _number_shape,
    "float": _number_shape,
    "bool": lambda _: {"type": "boolean"},
    "size": _size_shape,
    "image": lambda _: {"type": "string", "contentMediaType": "image/*", "x-picture": PICTURE},
}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("_", "-").split("-"))
