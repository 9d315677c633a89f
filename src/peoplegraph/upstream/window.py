"""Counts over the last seconds: what breakers and retry budgets decide by."""

from collections import deque


class Window:
    """How many calls there were in the last `seconds`, and how many of them were marked; in steps of a second.

    Pure: it is told the time, in seconds on any clock that does not go back.
    """

    def __init__(self, seconds: int = 10) -> None:
        self._seconds = seconds
        self._steps: deque[list[int]] = deque()  # [second, calls, marked], the newest last

    def __repr__(self) -> str:
        return f"<Window {sum(step[1] for step in self._steps)}, {sum(step[2] for step in self._steps)} marked>"

    def add(self, now: float, *, calls: int = 0, marked: int = 0) -> None:
        """Count something at `now`."""
        second = int(now)
        if not self._steps or self._steps[-1][0] != second:
            self._forget(second)
            self._steps.append([second, 0, 0])
        self._steps[-1][1] += calls
        self._steps[-1][2] += marked

    def totals(self, now: float) -> tuple[int, int]:
        """Return the calls and the marked ones of the seconds up to `now`."""
        self._forget(int(now))
        return sum(step[1] for step in self._steps), sum(step[2] for step in self._steps)

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()

    def _forget(self, second: int) -> None:
        while self._steps and self._steps[0][0] <= second - self._seconds:
            self._steps.popleft()
