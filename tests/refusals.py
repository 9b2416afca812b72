"""What a page says beside a form that was refused."""

from html import unescape


def refusal_in(page: str, action: str) -> str:
    """The alert in the form that posts to this address, which the page begins at; empty where there is none."""
    form = page[page.index(f'action="{action}"') :].split("</form>", 1)[0]
    _, _, told = form.partition('role="alert" tabindex="-1" autofocus>')
    return unescape(told.split("</p>", 1)[0])
