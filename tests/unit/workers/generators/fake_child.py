"""Stands in for the sampling child: does what the first prompt of its request says, without torch."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from workers.generators.local import ANSWERS_FILE, REQUEST_FILE

SAMPLE = {"text": "hi", "is_finished": True, "token_count": 1}


def main(folder: Path) -> None:
    prompts = json.loads((folder / REQUEST_FILE).read_text())["tasks"][0]["prompts"]
    act = prompts[0]["turns"][0]["content"]
    (folder.parent / "child.pid").write_text(str(os.getpid()))
    with (folder / ANSWERS_FILE).open("a", encoding="utf-8") as file:
        for one in prompts:
            file.write(json.dumps({"key": "policy", "prompt": one["id"], "samples": [SAMPLE]}))
            file.write("\n")
            file.flush()
        file.write('{"half a li')
    if act == "hang":
        time.sleep(60)
    if act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "crash":
        raise ZeroDivisionError("by nought")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
