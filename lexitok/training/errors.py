"""Errors of setting up a run."""


class SetupError(ValueError):
    """Settings that do not go together; the message says which."""
