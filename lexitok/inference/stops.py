"""When a text ends: a stop string, or its length. Decided on bytes, whatever the symbols are that bring them."""

from collections.abc import Sequence


class Text:
    """Bytes as they are generated, cut where they end: before a stop string, or after `max_bytes`.

    The result is the same however the bytes are grouped into symbols: the stop string that is complete first counts,
    and one that would only be complete beyond `max_bytes` does not. What comes before the text (a prompt) is no part
    of a stop string.

    Attributes:
      data: the bytes so far.
      sure: how many of them stay, whatever follows: the others may be the beginning of a stop string.
      ended: no more are taken.
    """

    def __init__(self, max_bytes: int, stops: Sequence[bytes] = ()):
        """Raises ValueError or TypeError: a negative length, or a stop string that is empty or not bytes."""
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes}; it is 0 or more")
        if isinstance(stops, (bytes, str)) or not all(isinstance(stop, bytes) for stop in stops):
            raise TypeError(f"stop is a sequence of byte strings, such as [b'\\n'], not {stops!r}")
        if not all(stops):
            raise ValueError("a stop string is empty: nothing would ever be generated; leave it out")
        self.data = b""
        self.sure = 0
        self.ended = max_bytes == 0
        self._room = max_bytes
        self._stops = tuple(stops)
        self._longest = max(map(len, stops), default=1)

    def add(self, data: bytes) -> None:
        """Takes the bytes of one more symbol."""
        if self.ended:
            return
        searched = max(0, len(self.data) - self._longest + 1)
        self.data += data[: self._room]
        self._room -= min(len(data), self._room)
        found = [(at + len(stop), at) for stop in self._stops if (at := self.data.find(stop, searched)) >= 0]
        if found:
            self.data = self.data[: min(found)[1]]
        if found or self._room == 0:
            self.end()
        else:
            self.sure = len(self.data) - max(map(self._begun, self._stops), default=0)

    def end(self) -> None:
        """No more follows."""
        self.ended = True
        self.sure = len(self.data)

    def _begun(self, stop: bytes) -> int:
        """How many bytes at the end are the beginning of a stop string that may still become complete."""
        longest = min(len(stop) - 1, len(self.data))
        least = max(1, len(stop) - self._room)  # for more, there is no room
        begun = (n for n in range(longest, least - 1, -1) if self.data.endswith(stop[:n]))
        return next(begun, 0)
