"""What the finder joins into one file runs in a browser as its modules do."""

from annotation.ui import bundles

MODULES = {
    "a/entry.js": 'import { one, two as other } from "./low.js";\nimport { t } from "../ui/t.js";\n'
    "console.log(one + other() + t);\n",
    "a/low.js": 'import { t } from "../ui/t.js";\nexport const one = t;\nexport function two() { return 2; }\n',
    "ui/t.js": "const hidden = 1;\nexport const t = hidden;\n",
}


def test_a_bundle_runs_as_its_modules_do(monkeypatch, page):
    monkeypatch.setattr(bundles, "_source", MODULES.__getitem__)
    with page.expect_console_message() as said:
        page.add_script_tag(content=bundles.joined_modules("a/entry.js"), type="module")
    assert said.value.text == "4"
