"""Every error that Semantic-CC raises on purpose.

One base class, specific children; each child is also the natural builtin, so that callers may catch
either. `InputError` and its children mean that the user's input is wrong (exit code 2 on the command
line); every other error means that the work failed (exit code 1). A message is one line: what, where,
what to do.
"""


class SemanticCCError(Exception):
    """Base of all errors of this package."""


class InputError(SemanticCCError, ValueError):
    """What the user gave cannot be used."""


class ImageError(InputError):
    """An image is missing, unreadable, of an unsupported kind or of the wrong size."""


class ConfigError(InputError):
    """A preset, a configuration file or one of its values is wrong."""


class CheckpointError(InputError):
    """A checkpoint is missing, corrupt or does not fit the model."""


class DataError(InputError):
    """A dataset does not have the layout that its reader needs."""


class OutputError(InputError, OSError):
    """The place to write to cannot be written."""


class FoundationWeightsError(SemanticCCError, FileNotFoundError):
    """Foundation weights (the LLM, SAM) are nowhere to be found, or are not the accepted ones."""


class DeviceMemoryError(SemanticCCError, MemoryError):
    """The memory of a device does not suffice for a batch."""


class TrainingError(SemanticCCError, RuntimeError):
    """Training cannot go on, for example because the loss is no longer finite."""


class ScoringError(SemanticCCError, RuntimeError):
    """An outside program that a score needs has failed."""


def one_line(error: Exception) -> str:
    """An error's message as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
