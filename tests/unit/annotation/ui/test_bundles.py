"""Bundles: modules joined in the order of their imports, style sheets in the order given."""

import pytest

from annotation.ui import bundles

MODULES = {
    "a/entry.js": 'import { one, two as other } from "./low.js";\nimport { t } from "../ui/t.js";\n'
    "console.log(one + other() + t);\n",
    "a/low.js": 'import { t } from "../ui/t.js";\nexport const one = t;\nexport function two() { return 2; }\n',
    "ui/t.js": "const hidden = 1;\nexport const t = hidden;\n",
}


@pytest.fixture
def sources(monkeypatch) -> dict[str, str]:
    files = dict(MODULES)
    monkeypatch.setattr(bundles, "_source", files.__getitem__)
    return files


def test_each_module_comes_once_and_after_what_it_imports(sources):
    text = bundles.joined_modules("a/entry.js")
    places = [text.index(f"const {name} = ") for name in ("$ui_t", "$a_low", "$a_entry")]
    assert places == sorted(places)
    assert text.count("const $ui_t = ") == 1
    assert "import" not in text
    assert "export" not in text


def test_modules_that_import_each_other_are_refused(sources):
    sources["ui/t.js"] = 'import { one } from "../a/low.js";\nexport const t = one;\n'
    with pytest.raises(ValueError, match=r"a/low\.js -> ui/t\.js -> a/low\.js"):
        bundles.joined_modules("a/entry.js")


def test_what_a_bundle_cannot_hold_is_named(sources):
    sources["ui/t.js"] = "export default 1;\n"
    with pytest.raises(ValueError, match="export default"):
        bundles.joined_modules("a/entry.js")


def test_styles_keep_their_order(sources):
    sources |= {"a.css": "a {}", "b.css": "b {}"}
    assert bundles.joined_styles(["b.css", "a.css"]) == "b {}\na {}"
