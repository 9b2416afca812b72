"""Tags that carry translations into the page."""

import json

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from annotation.ui.translations import script_texts

register = template.Library()
_ESCAPES = {ord(">"): "\\u003E", ord("<"): "\\u003C", ord("&"): "\\u0026"}


@register.simple_tag
def script_translations() -> SafeString:
    """The block that `ui/gettext.js` reads: inert JSON, which the strict policy allows."""
    texts = json.dumps(script_texts(get_language() or "en"), ensure_ascii=False)
    safe = mark_safe(texts.translate(_ESCAPES))  # noqa: S308 - as django's json_script does it
    return format_html('<script type="application/json" data-translations>{}</script>', safe)
