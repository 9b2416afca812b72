"""The labeling page stays light: small modules, no framework, nothing inline."""

import gzip
import re
from pathlib import Path

import annotation.comparisons

APP = Path(annotation.comparisons.__file__).parent
MODULES = sorted((APP / "static" / "comparisons").glob("*.js"))
TEMPLATES = sorted((APP / "templates" / "comparisons").glob("*.html"))


def test_all_its_scripts_are_under_40_kb_compressed():
    assert len(MODULES) >= 6
    assert sum(len(gzip.compress(one.read_bytes())) for one in MODULES) < 40_000


def test_nothing_is_inline_so_that_the_strict_policy_holds():
    pages = "\n".join(one.read_text(encoding="utf-8") for one in TEMPLATES)
    assert not re.findall(r"\s(?:style|on\w+)=|<style|<script(?![^>]*\ssrc=)", pages)
