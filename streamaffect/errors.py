"""What can go wrong, as the caller should tell it apart. The text of each is one line: what, where, what to do."""


class StreamAffectError(Exception):
    """Failed at run time (exit code 1)."""


class UsageError(StreamAffectError, ValueError):
    """Bad usage or configuration (exit code 2): an unknown name, a value out of range, a missing extra."""


class SourceError(StreamAffectError):
    """A stream is not there, or not as the device profile says."""


class DatasetError(StreamAffectError):
    """A recording cannot be read."""


class BundleError(StreamAffectError):
    """A bundle is truncated, altered or of a foreign format."""


class BrokerError(StreamAffectError):
    """The MQTT broker cannot be reached or refuses us."""
