"""The labeling page stays light: small modules, no framework, nothing inline."""

import gzip
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import annotation.comparisons
from annotation.comparisons import offline

APP = Path(annotation.comparisons.__file__).parent
MODULES = sorted((APP / "static" / "comparisons").glob("*.js"))
TEMPLATES = sorted((APP / "templates" / "comparisons").glob("*.html"))
OFFLINE = "offline.html"  # has a policy of its own, which names what stands in it


def test_all_its_scripts_are_under_40_kb_compressed():
    assert len(MODULES) >= 6
    assert sum(len(gzip.compress(one.read_bytes())) for one in MODULES) < 40_000


def test_nothing_is_inline_so_that_the_strict_policy_holds():
    pages = "\n".join(one.read_text(encoding="utf-8") for one in TEMPLATES if one.name != OFFLINE)
    assert not re.findall(r"\s(?:style|on\w+)=|<style|<script(?![^>]*\ssrc=)", pages)


def test_the_page_without_a_network_runs_what_its_policy_names_and_no_more():
    text = offline.worker()
    page, headers = (
        json.loads(re.search(rf"^const {name} = (.*);$", text, re.MULTILINE)[1])
        for name in ("PAGE", "HEADERS")
    )
    inline = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, re.DOTALL)
    hashes = [b64encode(sha256(one.encode()).digest()).decode() for one in inline]
    policy = headers["Content-Security-Policy"]
    assert re.findall(r"'sha256-(.*?)'", policy) == hashes
    assert "default-src 'none'; connect-src 'self';" in policy
    assert not re.findall(r"\s(?:style|on\w+|src)=", page)
