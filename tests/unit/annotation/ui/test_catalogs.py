"""Every text that the site marks for translation has its German, and the compiled catalogs are those of the sources."""

import ast
import gettext
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.translation.template import templatize

from annotation.ui.translations import LOCALE, script_texts

ROOT = Path(__file__).resolve().parents[4]
MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "gettext_noop"}
IN_TEMPLATE = re.compile(r"\bgettext\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)")
IN_SCRIPT = re.compile(r"\bn?gettext\(\s*(\"(?:[^\"\\]|\\.)*\")")


def sources(pattern: str) -> list[Path]:
    return sorted((ROOT / "annotation").rglob(pattern))


def in_python() -> Iterator[str]:
    for path in sources("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_mark = isinstance(node, ast.Call) and getattr(node.func, "id", "") in MARKS
            first = node.args[0] if is_mark and node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def in_templates() -> Iterator[str]:
    for path in sources("*.html"):
        code = templatize(path.read_text(encoding="utf-8"), origin=str(path))
        yield from map(ast.literal_eval, IN_TEMPLATE.findall(code))


def in_scripts() -> Iterator[str]:
    for path in sources("*.js"):
        yield from map(json.loads, IN_SCRIPT.findall(path.read_text(encoding="utf-8")))


def untranslated(texts: Iterator[str], domain: str) -> set[str]:
    catalog = gettext.translation(domain, LOCALE, languages=["de"])
    catalog.add_fallback(_Missing())
    return {text for text in texts if catalog.gettext(text) is MISSING}


MISSING = "no translation"


class _Missing(gettext.NullTranslations):
    def gettext(self, message: str) -> str:  # noqa: ARG002 - the base class names it
        return MISSING


@pytest.mark.parametrize("collect", [in_python, in_templates])
def test_every_text_of_the_server_is_translated(collect):
    texts = list(collect())
    assert texts
    assert untranslated(iter(texts), "django") == set()


def test_every_text_of_the_scripts_is_translated():
    assert {text for text in in_scripts() if text not in script_texts("de")} == set()


@pytest.mark.parametrize("domain", ["django", "djangojs"])
def test_a_compiled_catalog_says_what_its_source_says(domain):
    folder = LOCALE / "de" / "LC_MESSAGES"
    source = (folder / f"{domain}.po").read_text(encoding="utf-8")
    compiled = gettext.translation(domain, LOCALE, languages=["de"])
    pairs = re.findall(r'^msgid (".+")\nmsgstr (".+")$', source, re.MULTILINE)
    assert "#, fuzzy" not in source
    assert [
        text for text, said in pairs if compiled.gettext(json.loads(text)) != json.loads(said)
    ] == []
