"""Train from a folder: `python -m training snapshot DIR ROWS | new KIND DIR | run DIR | resume DIR | eval DIR`.

`run` reads DIR/spec.json, writes events, checkpoints and the artifact, and ends with
DIR/result.json: status, error, metrics. Nothing heavy is imported before it is needed.
"""

import argparse
import gc
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from training.runtime.loading import UNUSED, quick_imports
from training.runtime.stopping import FOLLOW_STDIN, StopRequest, listening
from training.spec.backbone import refuse_more_layers
from training.spec.base import RunSpec
from training.spec.errors import (
    Broke,
    Cancelled,
    DiskFull,
    ModelError,
    SpecError,
    TrainingError,
    UnusableFile,
)
from training.spec.events import json_value
from training.spec.headlines import HEADLINES, headline_in, headline_line
from training.spec.layout import (
    ARTIFACT_DIR,
    CHECKPOINTS_DIR,
    EVENTS_FILE,
    RESULT_FILE,
    SPEC_FILE,
    TRAINED_FILE,
)
from training.spec.presets import PRESETS, preset_of
from training.spec.runs import SPECS, settings_text, spec_from_dict, spec_to_dict, without_unused

if TYPE_CHECKING:
    from training.runtime.run import Run


SNAPSHOT = "gather rows in the formats of TRL into a snapshot, which runs learn from"
NEW = "write the instructions DIR/spec.json from defaults, --preset and --set"
INTERRUPTED = 130  # the exit code of shells after Ctrl-C
MOST_REFUSED = 20  # that are shown
RUN_DIR = "folder of the run, with its spec.json"
DIR_HELP = {"fetch": "folder for the model"}

EVALS = {  # the module of `evals` that measures what the trainer of this name made
    "sft": "heldout_loss",
    "reward_model": "reward_accuracy",
    "ppo": "reward_gain",
    "grpo": "reward_gain",
    "dpo": "preference_accuracy",
    "kto": "preference_accuracy",
}


class Algorithm(NamedTuple):
    """How one kind of run trains, and how its artifact is measured on held-out records."""

    train: Callable[["Run", Any], Mapping[str, object]]  # Any: the spec of this kind
    evaluate: Callable[["Run", Any], Mapping[str, object]] | None = None


def algorithm(spec: RunSpec) -> Algorithm:
    """The algorithm of a spec; torch is loaded here, and what this run does not need is not."""
    with quick_imports(unused=() if spec.has_four_bits else UNUSED):
        trainer = import_module(f"training.trainers.{spec.kind}")
        measure = import_module(f"training.evals.{EVALS[spec.kind]}")
    return Algorithm(trainer.train, measure.evaluate)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do it; the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        code: int = options.act(options)
    except TrainingError as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    except OSError as error:
        if error.filename is None:  # of something else than a file
            raise
        sys.stderr.write(f"{UnusableFile.of(error)}\n")
        code = 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        code = INTERRUPTED
    return code


ABOUT = """Train a model from a folder, without the site. Gather rows, write the instructions, then run them:

  python -m training snapshot snapshots/3 preferences.jsonl
  python -m training new reward_model runs/7 --set model=models/base --set data=snapshots/3
  python -m training run runs/7

`settings KIND` lists every setting of a kind of run. docs/training.md explains settings, numbers and files.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_snapshot(commands.add_parser("snapshot", help=SNAPSHOT, description=sentence(SNAPSHOT)))
    _add_new(commands.add_parser("new", help=NEW, description=sentence(NEW)))
    about = "list every setting of a KIND: its default, what the presets say, what is allowed"
    settings = commands.add_parser("settings", help=about, description=sentence(about))
    settings.add_argument(
        "kind", choices=sorted(SPECS), metavar="KIND", help=", ".join(sorted(SPECS))
    )
    settings.set_defaults(act=_settings)
    for name, act, text in (
        ("run", _run, "execute a new run: train, publish the model, measure it"),
        ("resume", _resume, "go on from the newest checkpoint of a run that stopped or failed"),
        ("eval", _eval, "measure the model of a finished run again, and print the numbers"),
        ("fetch", _fetch, "put the embedded default policy (SmolLM2-135M-Instruct) into DIR"),
    ):
        command = commands.add_parser(name, help=text, description=sentence(text))
        command.add_argument("dir", type=Path, metavar="DIR", help=DIR_HELP.get(name, RUN_DIR))
        command.set_defaults(act=act)
    return parser


def sentence(text: str) -> str:
    """``text`` with a capital and a period."""
    return f"{text[:1].upper()}{text[1:]}."


def _add_snapshot(snapshot: argparse.ArgumentParser) -> None:
    snapshot.add_argument(
        "dir", type=Path, metavar="DIR", help="folder of the snapshot, which is made"
    )
    snapshot.add_argument(
        "rows", type=Path, nargs="+", metavar="ROWS", help="files of JSON Lines, plain or .gz"
    )
    for name in ("validation", "test"):
        text = f"share of the prompts for {name}, where rows name no split (0.1)"
        snapshot.add_argument(f"--{name}", type=float, default=0.1, metavar="SHARE", help=text)
    snapshot.add_argument("--seed", type=int, default=17, help="of the splits (17)")
    snapshot.set_defaults(act=_snapshot)


def _add_new(new: argparse.ArgumentParser) -> None:
    new.add_argument("kind", choices=sorted(SPECS), metavar="KIND", help=", ".join(sorted(SPECS)))
    new.add_argument("dir", type=Path, metavar="DIR", help="folder of the run, which is made")
    new.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="settings",
        help="one setting (see `settings KIND`); may be repeated, and wins over --preset",
    )
    new.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="settings that suit: demo two slow cores, standard a real project",
    )
    new.set_defaults(act=_new)


def _snapshot(options: argparse.Namespace) -> int:
    from training.data.gathering import gather

    held_out = {"validation": options.validation, "test": options.test}
    if not (all(one >= 0 for one in held_out.values()) and sum(held_out.values()) < 1):
        raise SpecError(f"{held_out}: shares begin at 0, and together they leave some for train.")
    shares = {"train": 1 - sum(held_out.values()), **held_out}
    found = gather(options.rows, options.dir, shares=shares, seed=options.seed)
    for line in found.refused[:MOST_REFUSED]:
        sys.stderr.write(f"Left out: {line}\n")
    sys.stdout.write(f"{options.dir} is made: {found}\n")
    return 0


def _settings(options: argparse.Namespace) -> int:
    sys.stdout.write(settings_text(options.kind))
    return 0


def _new(options: argparse.Namespace) -> int:
    given = preset_of(options.preset, options.kind) if options.preset else {}
    given |= dict(_setting(options.kind, text) for text in options.settings)
    spec = spec_from_dict({"kind": options.kind, **given})
    refuse_more_layers(spec, Path(spec.model))
    if (options.dir / SPEC_FILE).exists():
        raise SpecError(f"{options.dir} has a {SPEC_FILE} already; choose another folder.")
    options.dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(spec_to_dict(spec), indent=2)
    (options.dir / SPEC_FILE).write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(
        f"{options.dir / SPEC_FILE} is written. Start it: python -m training run {options.dir}\n"
    )
    return 0


def _setting(kind: str, text: str) -> tuple[str, object]:
    """FIELD=VALUE; the value is JSON except where the field is text."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise SpecError(f"--set {text}: write it as FIELD=VALUE.")
    is_text = any(one.name == name and one.type in {str, "str"} for one in fields(SPECS[kind]))
    if is_text:
        return name, value
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise SpecError(f"{name}: {value!r} is not a number, true or false.") from error


def read_spec(folder: Path) -> RunSpec:
    """The spec of a run's folder. Raises SpecError when it is missing or wrong."""
    path = folder / SPEC_FILE
    if not path.is_file():
        raise SpecError(f"There is no {SPEC_FILE} in {folder}; make one with `new`.")
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise SpecError(f"{path} must hold a JSON object, not {type(row).__name__}.")
    return spec_from_dict(without_unused(row))


def _run(options: argparse.Namespace) -> int:
    from training.runtime.distributed import joined, rank, wait_for_all

    with joined():
        if rank() == 0:
            _begin(options)
        wait_for_all()
        return execute(options.dir)


def _begin(options: argparse.Namespace) -> None:
    if any((options.dir / CHECKPOINTS_DIR).glob("[0-9]*")):
        raise SpecError(f"{options.dir} has checkpoints already; use `resume`, or a new folder.")
    (options.dir / TRAINED_FILE).unlink(missing_ok=True)


def _resume(options: argparse.Namespace) -> int:
    if _is_done(options.dir):
        sys.stderr.write(f"{options.dir} is done already.\n")
        return 0
    from training.runtime.distributed import joined

    with joined():
        return execute(options.dir)


def _is_done(folder: Path) -> bool:
    """Whether its result says so; what cannot be read says nothing."""
    try:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(result, dict) and result.get("status") == "done"


def execute(folder: Path) -> int:
    """Train, publish, measure, and write the result whatever happens; the exit code."""
    from training.runtime.distributed import rank

    if not folder.is_dir():
        raise SpecError(f"There is no folder {folder}.")
    if rank():
        return _assisted(folder)
    (folder / RESULT_FILE).unlink(missing_ok=True)
    began = time.monotonic()
    try:
        with listening() as stop:
            spec = read_spec(folder)
            metrics = _trained(folder, spec, stop)
    except TrainingError as error:
        _write_result(folder, began, error=error)
        sys.stderr.write(f"{error}\n{_way_on(folder)}")
        return 1
    _write_result(folder, began, metrics=metrics)
    if FOLLOW_STDIN not in os.environ:  # a worker reads the result
        came_to = headline_line(headline_in(metrics, HEADLINES[spec.kind]))
        sys.stdout.write(
            f"Done: the model is in {folder / ARTIFACT_DIR}, the numbers are in {folder / RESULT_FILE}.\n"
            f"It came to: {came_to}\n"
        )
    return 0


def _way_on(folder: Path) -> str:
    """How a person goes on with a run that stopped, where it has a checkpoint or only measuring is left."""
    if FOLLOW_STDIN in os.environ:  # a worker leads it, and goes on by itself
        return ""
    is_begun = any((folder / CHECKPOINTS_DIR).glob("[0-9]*")) or (folder / TRAINED_FILE).is_file()
    return f"Go on: python -m training resume {folder}\n" if is_begun else ""


def _assisted(folder: Path) -> int:
    """The part of a process that is not the first of several: it trains, and writes nothing."""
    from training.runtime.device import named_failures
    from training.runtime.metrics import Reporter
    from training.runtime.run import Run

    spec = read_spec(folder)
    with listening() as stop, named_failures(), Reporter(folder) as reporter:
        run = Run(folder=folder, reporter=reporter, stop=stop)
        if not run.is_published:
            algorithm(spec).train(run, spec)
    return 0


def _trained(folder: Path, spec: RunSpec, stop: StopRequest) -> Mapping[str, object]:
    from training.runtime.checkpoint import saved_steps
    from training.runtime.device import machine, named_failures, peak_memory_mb
    from training.runtime.metrics import Reporter
    from training.runtime.run import Run
    from training.runtime.trackers import tracking
    from training.runtime.watching import Watch
    from training.spec.events import EventKind

    with named_failures(), Reporter(folder) as reporter, tracking(reporter, spec, folder):
        run = Run(folder=folder, reporter=reporter, stop=stop)
        steps_before = max(saved_steps(folder / CHECKPOINTS_DIR), default=0)
        watch = Watch(run, spec)
        watch.recall(folder / EVENTS_FILE, last_step=steps_before)
        reporter.listen(watch.hear)
        begun = {"spec": spec_to_dict(spec), "machine": asdict(machine())}
        reporter.say(EventKind.STARTED, begun, step=steps_before)
        try:
            with named_failures():
                metrics = _measured(run, spec) | {"peak_memory_mb": round(peak_memory_mb(), 1)}
        except Exception as error:
            named = _named(error)
            reporter.say(EventKind.FAILED, {"kind": named.kind, "message": str(named)})
            raise named from error
        reporter.say(EventKind.FINISHED, metrics)
    return metrics


def _named(error: Exception) -> TrainingError:
    """A failure as `result.json` tells it; the traceback of what nobody expected goes to standard error."""
    if isinstance(error, TrainingError):
        return error
    sys.stderr.write("".join(traceback.format_exception(error)))
    return Broke(
        f"Something that should not happen: {type(error).__name__}: {error}. What was done is kept; "
        "report it with the traceback above and spec.json."
    )


def _measured(run: "Run", spec: RunSpec) -> dict[str, object]:
    chosen = algorithm(spec)
    run.stop.heed()
    metrics = _once_trained(run, lambda: chosen.train(run, spec))
    gc.collect()  # the models that trained: others are loaded now
    return metrics | dict(chosen.evaluate(run, spec) if chosen.evaluate else {})


def _once_trained(run: "Run", train: Callable[[], Mapping[str, object]]) -> dict[str, object]:
    """What the trainer told, from its file where the artifact is published already."""
    from training.runtime.checkpoint import write_atomically

    path = run.folder / TRAINED_FILE
    if not run.is_published:
        write_atomically(path, json.dumps(json_value(train())))
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}). Delete it, and resume: the run trains on from its last checkpoint."
        ) from error


def _write_result(
    folder: Path,
    began: float,
    *,
    metrics: Mapping[str, object] | None = None,
    error: TrainingError | None = None,
) -> None:
    """`result.json`, last and in one rename."""
    metrics = dict(metrics or {})
    peak = metrics.pop("peak_memory_mb", None)
    status = "done" if error is None else "failed"
    result = {
        "status": "cancelled" if isinstance(error, Cancelled) else status,
        "error": error and {"kind": error.kind, "message": str(error)},
        "metrics": json_value(metrics),
        "peak_memory_mb": peak,
        "seconds": round(time.monotonic() - began, 3),
    }
    draft = folder / f".{RESULT_FILE}.draft"
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(folder / RESULT_FILE)
    except OSError as failure:
        raise DiskFull(f"The result of {folder} could not be written: {failure}.") from failure


def _eval(options: argparse.Namespace) -> int:
    from training.runtime.device import named_failures
    from training.runtime.metrics import Reporter
    from training.runtime.run import Run

    spec = read_spec(options.dir)
    evaluate = algorithm(spec).evaluate
    if evaluate is None or not (options.dir / ARTIFACT_DIR).is_dir():
        raise SpecError(f"{options.dir} has no artifact that can be measured alone; run it first.")
    with listening() as stop, named_failures(), Reporter(options.dir) as reporter:
        metrics = evaluate(Run(folder=options.dir, reporter=reporter, stop=stop), spec)
    sys.stdout.write(json.dumps(json_value(metrics), indent=2) + "\n")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from training.models.convert import fetch_embedded_policy

    folder = fetch_embedded_policy(options.dir, say=lambda text: sys.stderr.write(f"{text}\n"))
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
