"""Counts over the last seconds: what breakers and retry budgets decide by."""

from collections import deque

STEP_S = 0.1


class Window:
    """How many calls there were in the last `seconds`, and how many of them were failures; in steps of 0.1 s.

    Pure: it is told the time, in seconds on any clock that does not go back.
    """

    def __init__(self, seconds: float = 10) -> None:
        self._steps_kept = round(seconds / STEP_S)
        self._steps: deque[list[int]] = deque()  # [step, calls, failures], the newest last
        self._calls = 0
        self._failures = 0

    def __repr__(self) -> str:
        return f"<Window {self._calls}, {self._failures} of them failures>"

    def add(self, now: float, *, calls: int = 0, failures: int = 0) -> None:
        """Count something at `now`."""
        step = int(now / STEP_S)
        last = self._steps[-1] if self._steps else None
        if last is None or last[0] != step:
            self._forget(step)
            last = [step, 0, 0]
            self._steps.append(last)
        last[1] += calls
        last[2] += failures
        self._calls += calls
        self._failures += failures

    def totals(self, now: float) -> tuple[int, int]:
        """Return the calls and the failures of the time up to `now`."""
        self._forget(int(now / STEP_S))
        return self._calls, self._failures

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()
        self._calls = self._failures = 0

    def _forget(self, step: int) -> None:
        while self._steps and self._steps[0][0] < step - self._steps_kept:
            _, calls, failures = self._steps.popleft()
            self._calls -= calls
            self._failures -= failures
