"""Failures a training process can name; each message is a sentence for whoever started the run."""

# ruff: noqa: N818 - the names are the words people read in result.json


class TrainingError(Exception):
    """Base of all expected failures. ``kind`` is what `result.json` carries."""

    kind = "training_error"


class SpecError(TrainingError):
    """The spec has a field that is unknown, missing or out of range."""

    kind = "spec_error"


class DataError(TrainingError):
    """The records cannot be trained on: too few, one class, broken lines."""

    kind = "data_error"


class ModelError(TrainingError):
    """The model folder is missing, corrupt or of an unsupported family."""

    kind = "model_error"


class Diverged(TrainingError):
    """A loss or gradient is no longer finite, or a guard stopped the run."""

    kind = "diverged"


class OutOfMemory(TrainingError):
    """The device or the host ran out of memory."""

    kind = "out_of_memory"


class DiskFull(TrainingError):
    """A checkpoint or artifact could not be written for lack of space."""

    kind = "disk_full"


class SamplerFailed(TrainingError):
    """The server that answers for the policy is away, or does not do what it must."""

    kind = "sampler_failed"


class UnusableFile(TrainingError):
    """A file or folder that cannot be read or written as it is."""

    kind = "unusable_file"

    @classmethod
    def of(cls, error: OSError) -> "UnusableFile":
        return cls(
            f"{error.filename} cannot be used: {error.strerror}. "
            "Name another path, or see who may read and write there."
        )


class Broke(TrainingError):
    """A mistake of the program: what is raised that nobody expected. Its traceback is in the log."""

    kind = "broke"


class Cancelled(TrainingError):
    """The run was asked to stop (SIGTERM or a closed stdin)."""

    kind = "cancelled"
