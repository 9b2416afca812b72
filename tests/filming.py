"""Films of browser tests: `RECORD=folder` (or `make journeys`) keeps one video a page.

Playwright films by an ffmpeg of its own. Where the system has one (Debian: apt install ffmpeg), that one is lent to it.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import playwright

SIZE = {"width": 1366, "height": 800}
SLOW = 150  # milliseconds an act, so that an eye can follow
FOLDER = os.environ.get("RECORD", "")


def film() -> dict[str, object]:
    """What a browser context is asked for: a video in the folder that RECORD names, or nothing."""
    if not FOLDER:
        return {}
    return {"record_video_dir": FOLDER, "record_video_size": SIZE, "viewport": SIZE}


def slowly() -> dict[str, object]:
    """What a browser is started with: each act takes a while where it is filmed."""
    return {"slow_mo": SLOW} if FOLDER else {}


def lend_ffmpeg() -> None:
    """Put the system's ffmpeg where Playwright looks for its own; before Playwright starts."""
    ffmpeg = shutil.which("ffmpeg")
    if not FOLDER or not ffmpeg or "PLAYWRIGHT_BROWSERS_PATH" in os.environ:
        return
    driver = Path(playwright.__file__).parent / "driver" / "package" / "browsers.json"
    browsers = json.loads(driver.read_text(encoding="utf-8"))["browsers"]
    revision = next(one["revision"] for one in browsers if one["name"] == "ffmpeg")
    place = Path(tempfile.mkdtemp(prefix="concord-ffmpeg-")) / f"ffmpeg-{revision}"
    place.mkdir()
    (place / "ffmpeg-linux").symlink_to(ffmpeg)
    os.environ["PLAYWRIGHT_BROWSERS_PATH"] = str(place.parent)


lend_ffmpeg()
