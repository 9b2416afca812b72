"""The page that stands where a browser cannot load the labeling page; a worker in the browser holds it (docs/adr/0026).

It is the same for everybody: what it tells of a person it reads in their browser.
"""

import json
from base64 import b64encode
from hashlib import sha256

from django.template.loader import render_to_string

from annotation.ui.bundles import joined_modules, joined_styles

_STYLES = ("ui/tokens.css", "comparisons/offline.css")
_SCRIPT = "comparisons/offline.js"


def worker() -> str:
    """The script of the worker, with the page in the reader's language."""
    style, script = joined_styles(_STYLES), joined_modules(_SCRIPT)
    page = render_to_string("comparisons/offline.html", {"style": style, "script": script})
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            f"default-src 'none'; connect-src 'self'; style-src '{_hash(style)}'; "
            f"script-src '{_hash(script)}'; base-uri 'none'; frame-ancestors 'none'"
        ),
    }
    answer = {"page": json.dumps(page), "headers": json.dumps(headers)}
    return render_to_string("comparisons/offline_worker.js", answer)


def _hash(text: str) -> str:
    """As a policy names what may stand in a page itself."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
