"""The interface speaks the reader's language: as the browser asks, or as chosen on the account page."""

import re

import pytest
from django.template import Context, Template
from django.test import Client
from django.urls import reverse
from django.utils import translation

from annotation.ui import translations
from tests import factories


@pytest.mark.django_db
def test_the_sign_in_page_speaks_the_language_of_the_browser():
    page = Client(headers={"accept-language": "de"}).get(reverse("account_login"))
    assert '<html lang="de" dir="ltr">' in page.text
    assert "Anmelden" in page.text


@pytest.mark.django_db
def test_a_language_nobody_translated_falls_back_to_english():
    page = Client(headers={"accept-language": "tlh"}).get(reverse("account_login"))
    assert '<html lang="en"' in page.text


@pytest.mark.django_db
def test_the_choice_of_a_language_is_kept():
    client = Client()
    client.force_login(factories.user())
    client.post(reverse("set_language"), {"language": "de", "next": "/"})
    assert "Ihre Projekte" in client.get("/").text


@pytest.mark.django_db
def test_the_language_switch_leads_to_no_other_site():
    answer = Client().post(
        reverse("set_language"), {"language": "de", "next": "https://evil.example/"}
    )
    assert answer["Location"] == "/"


def test_numbers_in_a_german_page_keep_their_point():
    with translation.override("de"):
        assert Template("{{ 1.5 }}").render(Context({})) == "1.5"


def test_the_texts_of_scripts_cannot_leave_their_block(monkeypatch):
    monkeypatch.setattr(translations, "script_texts", lambda _language: {"a": "</script><b>&"})
    page = Template("{% load translations %}{% script_translations %}").render(Context({}))
    inside = re.fullmatch(r'<script type="application/json" data-translations>(.*)</script>', page)
    assert "<" not in inside.group(1)
