"""What is raised where a model cannot get a new tokenizer."""


class TransferError(ValueError):
    """A table, a tokenizer or settings that a transfer cannot be made of; the message says which, and what to do."""
