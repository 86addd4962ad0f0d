"""What is wrong with a checkpoint that comes from elsewhere, or is to go there."""


class HubError(ValueError):
    """A checkpoint that cannot be read or written; the message names the file, and the tensor or key."""
