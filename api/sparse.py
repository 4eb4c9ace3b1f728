"""Sparse: tells in the OpenAPI document that rows of a list hold what `fields` asked for."""

from typing import Any

from api.schemas.page import ALWAYS


def describe(spec: dict[str, Any]) -> None:
    """Give rows of lists a schema of their own, in which only `id` is always there."""
    schemas = spec["components"]["schemas"]
    for operations in spec["paths"].values():
        listed = operations.get("get", {})
        if any(one.get("name") == "fields" for one in listed.get("parameters", [])):
            content = listed["responses"]["200"]["content"]["application/json"]
            page = schemas[_name(content["schema"])]
            rows = page["properties"]["data"]["items"]
            whole = _name(rows)
            if not whole.endswith("Row"):
                schemas[f"{whole}Row"] = _row(schemas[whole])
                rows["$ref"] = f"{rows['$ref']}Row"


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _row(whole: dict[str, Any]) -> dict[str, Any]:
    required = [name for name in whole.get("required", []) if name in ALWAYS]
    kept = {name: value for name, value in whole.items() if name != "required"}
    return kept | ({"required": required} if required else {})
