"""Mirrors api/sparse.py."""

from flask import Flask


def test_rows_of_lists_promise_their_id_and_nothing_else(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    schemas = document["components"]["schemas"]

    rows = schemas["SegmentPage"]["properties"]["data"]["items"]["$ref"].rpartition("/")[2]

    assert rows == "SegmentRow"
    assert set(schemas["SegmentRow"].get("required", [])) <= {"id", "version"}
    assert set(schemas["Segment"]["required"]) > {"id"}
    assert schemas["SegmentRow"]["properties"] == schemas["Segment"]["properties"]
