"""The errors that Semantic-CC raises on purpose.

All are subclasses of `SemanticCCError`, and also of the matching built-in exception, so callers can catch either.
`InputError` and its subclasses mean that the user's input is wrong (exit code 2 on the command line); all others mean
that the work failed (exit code 1). A message is one line: what is wrong, where, and what to do.
"""


class SemanticCCError(Exception):
    """Base class of all errors of this package."""


class InputError(SemanticCCError, ValueError):
    """The user's input cannot be used."""


class ImageError(InputError):
    """An image is missing, unreadable, of an unsupported kind or of the wrong size."""


class ConfigError(InputError):
    """A preset, a configuration file or one of its values is wrong."""


class CheckpointError(InputError):
    """A checkpoint is missing or corrupt, or does not fit the model."""


class DataError(InputError):
    """A dataset, a manifest or another data file is missing, incomplete or invalid."""


class OutputError(InputError, OSError):
    """An output file or folder cannot be written."""


class FoundationWeightsError(SemanticCCError, FileNotFoundError):
    """Foundation weights (the LLM, SAM) are missing, or differ from those that the model needs."""


class DeviceMemoryError(SemanticCCError, MemoryError):
    """A device does not have enough memory for a batch."""


class TrainingError(SemanticCCError, RuntimeError):
    """Training cannot continue, for example because the loss is not finite."""


class ScoringError(SemanticCCError, RuntimeError):
    """A score cannot be computed, because an external program is missing or failed."""


def one_line(error: Exception) -> str:
    """The error's message as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
