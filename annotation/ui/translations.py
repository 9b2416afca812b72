"""Texts of scripts in the reader's language, from the catalog `locale/*/LC_MESSAGES/djangojs.mo` of this app."""

from functools import cache
from pathlib import Path

from django.utils.translation import gettext_noop
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JavaScriptCatalog

LOCALE = Path(__file__).parent / "locale"
# What Django says of a value in a form, said our way, with the value that was seen, by the catalogs of both languages.
OF_DJANGO = (
    # xgettext:no-python-format noqa: ERA001
    gettext_noop("Ensure this value is less than or equal to %(limit_value)s."),
    # xgettext:no-python-format noqa: ERA001
    gettext_noop("Ensure this value is greater than or equal to %(limit_value)s."),
    # xgettext:no-python-format noqa: ERA001
    gettext_noop("Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."),
)


@cache
def script_texts(language: str) -> dict[str, str | list[str]]:
    """English text -> translation, or its forms by number; empty where the pages are English anyway."""
    catalog = JavaScriptCatalog()
    catalog.translation = DjangoTranslation(language, domain="djangojs", localedirs=[str(LOCALE)])
    return {text: words for text, words in catalog.get_catalog().items() if words}
