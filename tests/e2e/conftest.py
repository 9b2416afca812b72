"""A real installation for the tests of this folder: `make demo` with a tiny model, on the embedded default."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from xdist.scheduler import LoadScopeScheduling

from tests.filming import film, slowly
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
OWN_SITE = {"test_as_deployed.py", "test_round.py", "test_supervisor.py"}  # or none
LAP_SECONDS = 1800  # much, for a machine that others use too
expect.set_options(timeout=30_000)  # milliseconds: as in the tests of one page


class OneSite(LoadScopeScheduling):
    """All tests of the one site go to one process, the other files as they come."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        return file if file in OWN_SITE else "site"


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> OneSite:
    return OneSite(config, log)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running installation: its address, its folder, and the passwords it showed."""

    url: str
    var: Path
    passwords: dict[str, str]
    process: "subprocess.Popen[bytes]"
    output: Path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A tiny random chat model, built in code in a process of its own."""
    folder = tmp_path_factory.mktemp("model") / "tiny-llama"
    code = (
        "from training.models.tiny import tiny_llama, tiny_tokenizer\n"
        f"tiny_llama().save_pretrained({str(folder)!r}); tiny_tokenizer().save_pretrained({str(folder)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def site(tiny_model) -> Iterator[Site]:
    """`manage.py demo --smoke`, left running after its lap."""
    var = Path(tempfile.mkdtemp(prefix="concord-e2e-"))
    port, output = free_port(), var / "demo-output.txt"
    command = [sys.executable, "manage.py", "demo", "--smoke"]
    command += ["--also", "dpo", "--also", "grpo"]
    command += ["--model", str(tiny_model), "--port", str(port)]
    hidden = {"DATABASE_URL", "REDIS_URL", "CI", "EXIT"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"CONCORD_VAR": str(var), "PYTHONUNBUFFERED": "1"}
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=file)

    def runs() -> bool:
        assert process.poll() is None, output.read_text()[-3000:]
        return "The site runs at" in output.read_text()

    try:
        eventually(runs, seconds=LAP_SECONDS)
        found = re.findall(r"^\s+(demo-\w+)\s+(\S+)$", output.read_text(), re.MULTILINE)
        yield Site(
            url=f"http://127.0.0.1:{port}",
            var=var,
            passwords=dict(found),
            process=process,
            output=output,
        )
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(var, ignore_errors=True)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    assert path, "There is no Chromium on the PATH; install it (Debian: apt install chromium)."
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    return {**browser_type_launch_args, "executable_path": path, "args": quiet, **slowly()}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    """`RECORD=folder` films every page: one video a test."""
    return {**browser_context_args, **film()}


@pytest.fixture
def sign_in(site, page: Page):
    """Sign the browser in as one of the demo's people."""

    def act(role: str) -> Page:
        page.goto(f"{site.url}/accounts/login/")
        page.get_by_label("Username").fill(f"demo-{role}")
        page.get_by_label("Password", exact=True).fill(site.passwords[f"demo-{role}"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile(r"^https?://[^/]+/(projects/.*)?$"))
        return page

    return act


@pytest.fixture
def console(page: Page) -> list[str]:
    """What the browser complained about: CSP violations and script errors."""
    said: list[str] = []
    page.on(
        "console", lambda message: said.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    return said
