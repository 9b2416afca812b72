"""Stands in for a child that stays: answers each request with its pid, or does what its first task says. No torch."""

import json
import os
import sys
from pathlib import Path

from workers.generators.local import ANSWERS_FILE, REQUEST_FILE


def main(folder: Path) -> None:
    request = json.loads((folder / REQUEST_FILE).read_text())
    act = request["tasks"][0]["act"]
    if act == "leave unheard":
        sys.exit()
    with (folder / ANSWERS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"pid": os.getpid(), "stay_seconds": request["stay_seconds"]}) + "\n")
        file.flush()
        if act == "crash":
            raise ZeroDivisionError("by nought")
        if act == "hang":
            sys.stdin.read()  # until the parent is gone
        file.write('{"done": true}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    for line in sys.stdin:
        main(Path(line.strip()))
