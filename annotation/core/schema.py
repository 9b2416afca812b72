"""What the OpenAPI document says of every operation: errors have one shape."""

from typing import Any

ERROR = {
    "type": "object",
    "description": "What is wrong. Every answer of 400 and above has this shape.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {
                    "type": "string",
                    "description": "A word for machines, such as not_found.",
                },
                "message": {"type": "string", "description": "A sentence for people."},
                "fields": {
                    "type": "object",
                    "description": "What is wrong with single fields, by name.",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
            },
            "required": ["code", "message", "fields"],
        }
    },
    "required": ["error"],
}
REFERENCE = {"$ref": "#/components/schemas/Error"}
REFUSED = {
    "description": "Refused, with a sentence that says why.",
    "content": {"application/json": {"schema": REFERENCE}},
}


def with_errors(
    result: dict[str, Any], **_how: Any
) -> dict[str, Any]:  # Any: JSON, and its options
    """Add the shape of an error to the document, and to every operation."""
    result["components"]["schemas"]["Error"] = ERROR
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["4XX"] = REFUSED
    return result
