"""What others build on: the OpenAPI document and the schemas of specs. `make snapshots` writes them anew."""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "snapshots"


def openapi() -> dict[str, Any]:
    """The document that `/api/v1/schema/` answers with."""
    from drf_spectacular.generators import SchemaGenerator

    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document


def specs() -> dict[str, Any]:
    """The JSON schema of each kind of run."""
    from training.spec.runs import SPECS, json_schema

    return {kind: json_schema(kind) for kind in SPECS}


SURFACES = {"openapi.json": openapi, "spec.json": specs}


def written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, default=str, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
    django.setup()
    FOLDER.mkdir(exist_ok=True)
    for name, surface in SURFACES.items():
        (FOLDER / name).write_text(written(surface()), encoding="utf-8")
