"""Every error leaves as a problem document (RFC 9457), in the reader's language.

422 is for the form of a request (all mistakes at once), 404 and 409 for the state of things, 401 and 403
for rights. An unforeseen error is 500 without details; the log has them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.status import HTTP_400_BAD_REQUEST

from controller.api.security import UNKNOWN_TOKEN, TokenExpiredError
from controller.domain.errors import (
    ConflictError,
    ForbiddenError,
    InputProblemsError,
    NotFoundError,
    Problem,
)
from controller.runtime.desk import OrderRefusedError
from controller.texts import Translator, mark, negotiate, translator
from controller.texts.details import in_words, problem_in_words
from controller.texts.problems import rule_text, status_title
from market.orders import Refusal, RefusalCode

MEDIA_TYPE = "application/problem+json"
_SLUGS: Mapping[int, str] = {
    400: "unreadable",
    401: "not-authenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    409: "conflict",
    413: "too-large",
    422: "invalid",
    429: "too-many-requests",
    500: "internal",
}
_UNREADABLE = "There was an error parsing the body"
"""What FastAPI says of a body that is no text, or makes the parser run out of stack."""
_OF_FORM = {
    RefusalCode.BAD_ORDER,
    RefusalCode.BAD_QUANTITY,
    RefusalCode.UNKNOWN_NODE,
    RefusalCode.TOO_FAR_AHEAD,
}
"""What is wrong with an order whenever it is sent."""
_LATER, _CONNECTION = mark("order for a later quarter-hour"), mark("leave it out for your own connection")
WAYS_OUT: Mapping[RefusalCode, tuple[str, str]] = {
    RefusalCode.GATE_CLOSED: ("interval_start_utc", _LATER),
    RefusalCode.INTERVAL_PAST: ("interval_start_utc", _LATER),
    RefusalCode.TOO_FAR_AHEAD: ("interval_start_utc", mark("order again when it is nearer")),
    RefusalCode.EXPIRED: ("valid_until_utc", mark("give a later moment, or none")),
    RefusalCode.UNKNOWN_NODE: ("node", _CONNECTION),
    RefusalCode.BAD_QUANTITY: ("quantity_wh", mark("change it as the sentence says")),
    RefusalCode.BAD_ORDER: ("body", mark("change it as the sentence says")),
    RefusalCode.NOT_YOURS: ("node", _CONNECTION),
    RefusalCode.NO_AUCTION: ("path", mark("nothing has to be ordered: what you share is settled afterwards")),
    RefusalCode.CREDIT: (
        "quantity_wh",
        mark("order less or at a lower price, cancel open orders, or pay what is due"),
    ),
    RefusalCode.DUPLICATE: ("order_id", mark("use a new id")),
    RefusalCode.TOKEN_EXPIRED: ("header.authorization", mark("take another token; renew it in time")),
    RefusalCode.CANCELLED: ("order_id", mark("place a new order")),
}
"""Of each reason against an order: the part of the request, and what can be done."""


def words_of(request: Request) -> Translator:
    """The translator for who sent the request: `?lang=`, else `Accept-Language`, else Dutch."""
    return translator(
        negotiate(
            chosen=request.query_params.get("lang"), accept_language=request.headers.get("accept-language")
        )
    )


def problem_response(
    request: Request,
    status: int,
    detail: str,
    *,
    problems: Sequence[Problem] | None = None,
    refusals: Sequence[Refusal] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response.

    Args:
        request: What was asked; its path is the instance.
        status: HTTP status.
        detail: What is wrong this time.
        problems: All mistakes of a form.
        refusals: Why an order does not stand.
        headers: Further headers.
    """
    words = words_of(request)
    document: dict[str, object] = {
        "type": f"urn:wijkstroom:problem:{_SLUGS.get(status, 'other')}",
        "title": status_title(status, words),
        "status": status,
        "detail": in_words(detail, words),
        "instance": request.url.path,
    }
    if problems is not None:
        document["problems"] = [
            {"place": problem.place, "rule": problem.rule, "way_out": problem.way_out}
            for problem in (problem_in_words(problem, words) for problem in problems)
        ]
    if refusals is not None:
        document["refusals"] = [
            {
                "code": one.code,
                "sentence": in_words(one.sentence, words),
                "place": WAYS_OUT[one.code][0],
                "way_out": words.say(WAYS_OUT[one.code][1]),
            }
            for one in refusals
        ]
    all_headers = {"Content-Language": words.language.value, **(headers or {})}
    return Response(orjson.dumps(document), status, all_headers, media_type=MEDIA_TYPE)


def form_problems(error: RequestValidationError, words: Translator) -> list[Problem]:
    """Every mistake that was found in a form, in the reader's language."""
    problems = []
    for item in error.errors():
        place = [str(part) for part in item["loc"]]
        rule = rule_text(item["type"], item.get("ctx") or {}, words)
        if item["type"] == "json_invalid":
            way_out = words.say("look at character {position}", position=int(place.pop()) + 1)
            problems.append(Problem(place="body", rule=rule, way_out=way_out))
            continue
        # The body is what people mean when they name a field; path and query say so.
        path = ".".join(place[1:] if place[:1] == ["body"] and len(place) > 1 else place)
        # curl sends a form unless it is told otherwise: then the body arrives as plain text.
        as_text = item["type"] == "model_attributes_type" and isinstance(item.get("input"), bytes)
        way_out = words.say("send it with the header Content-Type: application/json") if as_text else ""
        problems.append(Problem(place=path, rule=rule, way_out=way_out))
    return problems


def install(app: FastAPI) -> None:
    """Gives the app its answers to every kind of error."""
    for kind, status in ((NotFoundError, 404), (ConflictError, 409), (ForbiddenError, 403)):
        app.add_exception_handler(kind, _plain(status))
    app.add_exception_handler(InputProblemsError, _input)
    app.add_exception_handler(OrderRefusedError, _refused)
    app.add_exception_handler(TokenExpiredError, _expired)
    app.add_exception_handler(RequestValidationError, _form)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def _plain(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return problem_response(request, status, str(error))

    return handle


async def _input(request: Request, error: Exception) -> Response:
    assert isinstance(error, InputProblemsError)  # noqa: S101  # the handler is registered for it only
    return _listed(request, error.problems)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, OrderRefusedError)  # noqa: S101  # the handler is registered for it only
    codes = {refusal.code for refusal in error.refusals}
    status = 403 if RefusalCode.NOT_YOURS in codes else 422 if codes & _OF_FORM else 409
    words = words_of(request)
    detail = "; ".join(f"{one.code.value}: {in_words(one.sentence, words)}" for one in error.refusals)
    return problem_response(request, status, detail, refusals=error.refusals)


async def _expired(request: Request, error: Exception) -> Response:
    refusal = Refusal(code=RefusalCode.TOKEN_EXPIRED, sentence=str(error))
    return problem_response(request, 401, str(error), refusals=[refusal], headers=UNKNOWN_TOKEN)


async def _form(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # the handler is registered for it only
    return _listed(request, form_problems(error, words_of(request)))


def _listed(request: Request, problems: Sequence[Problem]) -> Response:
    words = words_of(request)
    detail = "; ".join(str(problem_in_words(problem, words)) for problem in problems)
    return problem_response(request, 422, detail, problems=problems)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # the handler is registered for it only
    if error.status_code == HTTP_400_BAD_REQUEST and error.detail == _UNREADABLE:
        rule = rule_text("json_unreadable", {}, words_of(request))
        return _listed(request, [Problem(place="body", rule=rule)])
    return problem_response(request, error.status_code, str(error.detail), headers=error.headers)


async def _unforeseen(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the log has it
    return problem_response(request, 500, "the log of the controller says more")


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The entries of OpenAPI for the problems that a route may answer with, 401 and 403 always."""
    return {
        status: {
            "description": _SLUGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in sorted({401, 403, *statuses})
    }
