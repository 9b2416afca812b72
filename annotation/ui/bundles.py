"""Bundles: several modules or style sheets served as one file, so that a page needs few requests.

There is no build step (docs/adr/0011): this finder of static files joins and compresses a bundle when it is asked for
it, in development, in tests and at `collectstatic` alike. ``CONCORD_BUNDLES`` names them: address -> files in order.

A module is wrapped in a function and hands on its exports; what it may write is kept small, and refused otherwise:
named imports on one line, `export const | let | function | async function | class`, no cycles.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder, get_finder
from django.core.files.storage import FileSystemStorage

_OF_APPS = "django.contrib.staticfiles.finders.AppDirectoriesFinder"
_IMPORT = re.compile(
    r'^import (?:\{ (?P<names>[^}]+) \} from )?"(?P<path>\.[^"]+)";[^\S\n]*\n', re.MULTILINE
)
_EXPORT = re.compile(
    r"^export (?=(?:const|let|class|function|async function) (?P<name>\w+))", re.MULTILINE
)
_REFUSED = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class Module(NamedTuple):
    """One module: its address, its text, and the addresses that it imports."""

    address: str
    text: str
    imports: list[str]


def joined_modules(entry: str) -> str:
    """The module at this address and all that it imports, each once, as one module without imports."""
    return "\n".join(_wrapped(one) for one in _in_order(entry, []))


def joined_styles(addresses: Iterable[str]) -> str:
    """These style sheets, one after the other."""
    return "\n".join(_source(one) for one in addresses)


class BundleFinder(BaseFinder):
    """Finds the bundles of ``CONCORD_BUNDLES``, freshly joined."""

    def __init__(self, *_args: Any, **_options: Any) -> None:  # Any: Django's own
        self.storage = FileSystemStorage(location=settings.CONCORD_VAR / "bundles")

    def check(self, **_options: Any) -> list[Any]:  # Any: Django's own
        return []

    def find(self, path: str, find_all: bool = False, **_options: Any) -> Any:  # Any: Django's own
        if path not in settings.CONCORD_BUNDLES:
            return [] if find_all else None
        found = self._write(path)
        return [found] if find_all else found

    def list(self, _ignored: Iterable[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        for path in settings.CONCORD_BUNDLES:
            self._write(path)
            yield path, self.storage

    def _write(self, path: str) -> str:
        members = settings.CONCORD_BUNDLES[path]
        text = joined_styles(members) if path.endswith(".css") else joined_modules(*members)
        target = Path(self.storage.path(path))
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            _replace(target, text.encode())
            _replace(target.with_name(f"{target.name}.gz"), gzip.compress(text.encode()))
        return str(target)


def _replace(target: Path, content: bytes) -> None:
    """Write a file at once: several processes may, and others read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(target)


def _in_order(address: str, on_the_way: list[str]) -> list[Module]:
    """The module after all that it imports; each once."""
    if address in on_the_way:
        raise ValueError(f"{' -> '.join([*on_the_way, address])}: these modules import each other.")
    module = _module(address)
    found: dict[str, Module] = {}
    for one in module.imports:
        for earlier in _in_order(one, [*on_the_way, address]):
            found.setdefault(earlier.address, earlier)
    return [*found.values(), module]


def _module(address: str) -> Module:
    text = _source(address)
    imports = [_resolved(address, one["path"]) for one in _IMPORT.finditer(text)]
    return Module(address, text, imports)


def _source(address: str) -> str:
    found = get_finder(_OF_APPS).find(address)
    if not isinstance(found, str) or not found:
        raise FileNotFoundError(f"A bundle names {address}, and no app has such a static file.")
    return Path(found).read_text(encoding="utf-8")


def _resolved(address: str, path: str) -> str:
    """The address that ``path`` means in the module at ``address``: ../ui/a.js in comparisons/b.js is ui/a.js."""
    parts = address.split("/")[:-1]
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _wrapped(module: Module) -> str:
    def bound(match: re.Match[str]) -> str:
        if match["names"] is None:
            return ""
        name = _variable(_resolved(module.address, match["path"]))
        return f"const {{ {match['names'].replace(' as ', ': ')} }} = {name};\n"

    exports = [match["name"] for match in _EXPORT.finditer(module.text)]
    body = _EXPORT.sub("", _IMPORT.sub(bound, module.text))
    if refused := _REFUSED.search(body):
        raise ValueError(f"{module.address}: a bundle cannot hold {refused.group()!r}.")
    return f"const {_variable(module.address)} = (() => {{\n{body}return {{ {', '.join(exports)} }};\n}})();"


def _variable(address: str) -> str:
    return "$" + re.sub(r"\W", "_", address.removesuffix(".js"))
