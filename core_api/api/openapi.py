"""Core's OpenAPI 3.1 document, made from the operations that Core serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from client_sdk.contract.problem import MEDIA_TYPE, TITLES, Problem
from core_api.api.operations import JSON, Answer, Operation
from core_api.api.parameters import Parameter

Json = dict[str, Any]
_REF: Final = "#/components/schemas/{name}"


def document(operations: Sequence[Operation]) -> Json:
    """The document that describes the operations.

    The schemas of bodies and answers come from the very types that decode and encode them.
    """
    types = {one.body for one in operations} | {one.answer.type for one in operations}
    named = sorted((types | {Problem}) - {None}, key=lambda one: str(one.__name__))
    refs, schemas = msgspec.json.schema_components(named, ref_template=_REF)
    ref_of = dict(zip(named, refs, strict=True))
    paths: dict[str, Json] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, ref_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Yabam Core",
            "version": "1",
            "description": "Orders, and Fetch Sync, by which clients get them.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _operation(one: Operation, ref_of: dict[Any, Json]) -> Json:
    described: Json = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": [_parameter(parameter) for parameter in one.parameters],
        "responses": {
            str(status): _answer(one.answer, ref_of)
            for status in (one.answer.status, *one.answer.also)
        }
        | {str(status): _problem(status, ref_of) for status in one.problems},
    }
    if one.body is not None:
        content = {JSON: {"schema": ref_of[one.body]}}
        described["requestBody"] = {"required": True, "content": content}
    if not one.needs_token:
        described["security"] = []
    return described


def _answer(answer: Answer, ref_of: dict[Any, Json]) -> Json:
    if not answer.media_type:
        return {"description": answer.description}
    if answer.type is not None:
        schema = ref_of[answer.type]
    else:
        schema = {"type": "object" if answer.media_type == JSON else "string"}
    return {"description": answer.description, "content": {answer.media_type: {"schema": schema}}}


def _problem(status: int, ref_of: dict[Any, Json]) -> Json:
    titles = [title for code, title in TITLES.values() if code == status]
    return {
        "description": "; or ".join(titles),
        "content": {MEDIA_TYPE: {"schema": ref_of[Problem]}},
    }


def _parameter(parameter: Parameter) -> Json:
    described: Json = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "schema": parameter.schema,
    }
    if parameter.where == "path":
        described["required"] = True
    return described
