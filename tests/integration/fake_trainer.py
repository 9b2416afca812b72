"""A trainer without torch that keeps the contract of a run's folder: fast, and faulty on demand.

python fake_trainer.py [--step-seconds S] [--fault NAME] [--fault-at STEP] run|resume DIR
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

STEPS = 12
CHECKPOINT_EVERY = 3
RESULTS = {
    "torn_result": '{"status": "do',
    "odd_result": '{"status": "failed", "error": "all wrong", "metrics": []}',
    "no_object": "[]",
    "nul_result": '{"status": "failed", "error": {"message": "A\\u0000B"}, "metrics": {}}',
}


class Asked(Exception):  # noqa: N818
    """To stop."""


def newest_checkpoint(folder):
    steps = [int(one.name) for one in (folder / "checkpoints").glob("[0-9]*")]
    return max(steps, default=0)


def listen():
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())

    def wait():
        while os.read(0, 4096):
            pass
        asked.set()

    if os.environ.get("CONCORD_FOLLOW_STDIN") == "1":
        threading.Thread(target=wait, daemon=True).start()
    return asked


def train(folder, options, asked):
    path = folder / "events.jsonl"
    if path.exists():  # as the real one: a torn line at the end is cut
        text = path.read_bytes()
        os.truncate(path, text.rfind(b"\n") + 1)
    with path.open("a") as file:

        def say(kind, step=0, **data):
            event = {"kind": kind, "at": time.time(), "step": step, "data": data}
            file.write(json.dumps(event) + "\n")
            file.flush()

        done = newest_checkpoint(folder)
        say("started", done)
        for step in range(done + 1, STEPS + 1):
            if asked.wait(options.step_seconds):
                if options.fault == "deaf":
                    time.sleep(60)
                raise Asked
            say("metrics", step, loss=1 / step)
            say("sample", step, prompt="Why?", response=f"Because of {step}.")
            say("progress", stage="training", done=step, total=STEPS, unit="steps")
            if step % CHECKPOINT_EVERY == 0:
                place = folder / "checkpoints" / str(step)
                place.mkdir(parents=True)
                (place / "state.json").write_text(json.dumps({"step": step}))
                say("checkpoint", step, path=f"checkpoints/{step}")
            if step == options.fault_at:
                fail(options, file, asked)
        (folder / "artifact").mkdir(exist_ok=True)
        (folder / "artifact" / "model.safetensors").write_bytes(b"weights")


def fail(options, file, asked):
    fault = options.fault
    if fault == "hangs_when_new" and options.act == "run":
        asked.wait()
        raise Asked
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "disk_full":
        sys.exit("OSError: [Errno 28] No space left on device: 'result.json'")
    if fault == "crash":
        sys.exit("Segmentation fault, or so")
    if fault == "garbage":
        bad_step = '{"kind": "metrics", "at": 1, "step": -1, "data": {}}'
        nul = '{"kind": "log", "at": 1, "step": 0, "data": {"message": "a\\u0000b \\ud800"}}'
        deep = "[" * 100_000
        file.write(f'not json\n{bad_step}\n{nul}\n{deep}\n{{"kind": "metr')
        file.flush()
        file.write("\n")


def write_result(folder, status, error=None):
    result = {"status": status, "error": error, "metrics": {"accuracy": 0.75}, "seconds": 1}
    (folder / "result.json").write_text(json.dumps(result))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--step-seconds", type=float, default=0.0)
    parser.add_argument("--fault", default="")
    parser.add_argument("--fault-at", type=int, default=5)
    parser.add_argument("act", choices=["run", "resume"])
    parser.add_argument("dir", type=Path)
    options = parser.parse_args()
    sys.stderr.write(f"{options.act} in process {os.getpid()}\n")
    try:
        train(options.dir, options, listen())
    except Asked:
        write_result(options.dir, "cancelled", {"kind": "cancelled", "message": "Asked to stop."})
        return 1
    if options.fault == "diverged":
        error = {"kind": "diverged", "message": "The loss is no longer finite at step 12."}
        write_result(options.dir, "failed", error)
        return 1
    write_result(options.dir, "done")
    if options.fault in RESULTS:
        (options.dir / "result.json").write_text(RESULTS[options.fault])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
