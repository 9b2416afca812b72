"""Names of the files in a run's folder: all a worker needs to know of a training process.

DIR/spec.json        the frozen spec
DIR/events.jsonl     what the run says, appended
DIR/checkpoints/N/   resumable states, newest wins
DIR/adapters/N/      with a server that samples: the adapter of an update
DIR/adapter/         with `quantize`: what was trained, written before it is merged into the artifact
DIR/artifact/        the published model, when done
DIR/trained.json     what the trainer told, once the artifact is published: only measuring is left
DIR/artifact/card.json   of a reward model: what its card tells
DIR/held_out.jsonl   of a reward model: every held-out pair by name, with the difference of its scores
DIR/result.json      status, error, metrics; written last, atomically
"""

SPEC_FILE = "spec.json"
EVENTS_FILE = "events.jsonl"
RESULT_FILE = "result.json"
TRAINED_FILE = "trained.json"
CHECKPOINTS_DIR = "checkpoints"
ADAPTERS_DIR = "adapters"
ARTIFACT_DIR = "artifact"
LOG_FILE = "log.txt"
CARD_FILE = "card.json"
HELD_OUT_FILE = "held_out.jsonl"
