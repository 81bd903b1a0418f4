"""Every refusal in OpenAI's envelope: {"error": {"message", "type", "param", "code"}}, with a status that says whose
fault it is.

A client may act on four things: the status, `code`, `Retry-After`, and `x-should-retry` (the official OpenAI client
obeys the last two). The message is for people; it names the field and the remedy.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from brickwork.core.errors import BrickworkError, InputError, Rejected
from brickwork.store.errors import IdempotencyKeyReused, StoreError

log = logging.getLogger(__name__)

BUSY_RETRY_S = 2.0
"""What is told to wait when the server cannot say better: while it starts, drains, or cannot write its store."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    retry_after_ms: int | None = Field(
        default=None, description="As the header retry-after-ms; not there when waiting is no use."
    )


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class ApiError(BrickworkError):
    """An error with its place in HTTP."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})


class NotFound(ApiError):
    def __init__(self, what: str, name: str):
        super().__init__(404, "not_found", f"There is no {what} {name[:80]!r} here.", headers=retry_headers(None))


class Unavailable(ApiError):
    """Nothing is wrong with the request; it may be sent again."""

    def __init__(self, code: str, message: str):
        super().__init__(503, code, message, headers=retry_headers(BUSY_RETRY_S))


def retry_headers(retry_after_s: float | None) -> dict[str, str]:
    """When to come back. None: waiting does not help."""
    if retry_after_s is None:
        return {"x-should-retry": "false"}
    return {"retry-after": str(math.ceil(retry_after_s)), "retry-after-ms": str(math.ceil(retry_after_s * 1000))}


def refused(error: Rejected) -> ApiError:
    """Admission's refusal as 429."""
    headers = retry_headers(error.retry_after_s)
    if error.retry_after_s is None:
        return ApiError(429, "deadline_too_short", str(error), "deadline_s", headers)
    return ApiError(429, "overloaded", str(error), None, headers)


def install(app: FastAPI) -> None:
    """Make every error of `app` leave it in the envelope."""
    app.add_exception_handler(ApiError, lambda _, error: envelope(as_api_error(error)))
    app.add_exception_handler(BrickworkError, lambda _, error: envelope(as_api_error(error)))
    app.add_exception_handler(RequestValidationError, lambda _, error: envelope(as_api_error(error)))
    app.add_exception_handler(HTTPException, lambda _, error: envelope(as_api_error(error)))
    app.add_exception_handler(Exception, _defect)


def as_api_error(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case InputError():
            return ApiError(400, "invalid_value", str(error), error.field)
        case Rejected():
            return refused(error)
        case RequestValidationError():
            return _invalid(error)
        case IdempotencyKeyReused():
            return ApiError(422, "idempotency_key_reuse", str(error), "Idempotency-Key", retry_headers(None))
        case StoreError():
            return Unavailable("storage", str(error))
        case HTTPException(status_code=400):  # FastAPI's, of json.loads
            return ApiError(400, "invalid_json", "The body is not valid JSON in UTF-8.")
        case HTTPException():
            return ApiError(error.status_code, _code(error.status_code), str(error.detail), headers=error.headers)
        case _:
            return ApiError(500, "failed", str(error), headers=retry_headers(None))


def envelope(error: ApiError) -> JSONResponse:
    return JSONResponse(body(error), status_code=error.status, headers=error.headers)


def body(error: ApiError) -> dict[str, Any]:
    kind = "rate_limit_error" if error.status == 429 else "server_error" if error.status >= 500 else None
    detail: dict[str, Any] = {
        "message": error.message,
        "type": kind or "invalid_request_error",
        "param": error.param,
        "code": error.code,
    }
    if (wait_ms := error.headers.get("retry-after-ms")) is not None:
        detail["retry_after_ms"] = int(wait_ms)
    return {"error": detail}


def _invalid(error: RequestValidationError) -> ApiError:
    """The first thing that is wrong with a body, query or header, by the field's own name."""
    first = error.errors()[0]
    names = [part for part in first["loc"] if isinstance(part, str)]
    field = names[-1] if len(names) > 1 else None
    match first["type"]:
        case "json_invalid":
            cause = first.get("ctx", {}).get("error", "")
            return ApiError(400, "invalid_json", f"The body is not valid JSON: {cause}.")
        case "missing":
            return ApiError(400, "missing", f"{field or 'body'}: it is required.", field)
        case "model_attributes_type" | "model_type":
            return ApiError(400, "invalid_value", f"{field or 'body'}: expected a JSON object.", field)
        case "union_tag_invalid" | "union_tag_not_found":
            return _unknown_workflow(first)
        case _:
            return ApiError(400, "invalid_value", f"{field or 'body'}: {first['msg']}.", field)


def _unknown_workflow(first: Mapping[str, Any]) -> ApiError:
    if not isinstance(first["input"], dict):
        return ApiError(400, "invalid_value", "body: expected a JSON object.")
    context = first.get("ctx", {})
    field = str(context.get("discriminator", "workflow")).strip("'").removesuffix("()")
    known = str(context.get("expected_tags", "")).replace("'", "")
    got = f"got {str(context['tag'])[:80]!r}" if "tag" in context else "none was given"
    hint = f"expected one of {known}; {got}" if known else f"it is required; {got}"
    return ApiError(400, "unknown_workflow", f"{field}: {hint}.", field)


def _code(status: int) -> str:
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
    return codes.get(status, "invalid_request")


async def _defect(request: Request, error: Exception) -> JSONResponse:
    """A defect of the server's own: the log has the traceback, the client only the id to ask for."""
    request_id = request.scope.get("request_id", "")
    log.error("request %s %s %s failed", request_id, request.method, request.url.path, exc_info=error)
    return envelope(ApiError(500, "defect", f"The server failed at this request; its log knows it as {request_id}."))
