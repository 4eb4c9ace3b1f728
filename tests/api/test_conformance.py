"""Mirrors docs/reference/api.md: whatever a caller sends, the answer is one the document promises.

Schemathesis makes requests from the OpenAPI document, good and bad ones.
"""

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.caller import Caller

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 4
PARTS = 5
"""So many tests share the operations: a slow machine has time for each."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_every_answer_is_one_the_document_promises(
    app: Flask, api: Caller, mode: schemathesis.GenerationMode, part: int
) -> None:
    app.testing = False
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    for found in list(schema.get_all_operations())[part::PARTS]:
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=api.headers, checks=CHECKS)

        ask()
