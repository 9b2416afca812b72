"""Texts of scripts in the reader's language, from the catalog `locale/*/LC_MESSAGES/djangojs.mo` of this app."""

from functools import cache
from pathlib import Path

from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JavaScriptCatalog

LOCALE = Path(__file__).parent / "locale"


@cache
def script_texts(language: str) -> dict[str, str | list[str]]:
    """English text -> translation, or its forms by number; empty where the pages are English anyway."""
    catalog = JavaScriptCatalog()
    catalog.translation = DjangoTranslation(language, domain="djangojs", localedirs=[str(LOCALE)])
    return {text: words for text, words in catalog.get_catalog().items() if words}
