"""The log's lines: gathered while a turn of the event loop lasts, and none lost or out of order."""

import asyncio
import io
import logging
import sys
from threading import Thread

import pytest

from peoplegraph.observe.lines import AT_ONCE_BYTES, Lines, LinesHandler


class Pipe(io.StringIO):
    """A stream that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        """Keep a write."""
        self.writes.append(text)
        return len(text)


async def test_lines_of_a_turn_are_one_write() -> None:
    """They are written in the next turn, in order, and those of that turn in the one behind it."""
    pipe = Pipe()
    lines = Lines(pipe)
    for number in range(3):
        lines.put(str(number))
    assert pipe.writes == []
    await asyncio.sleep(0)
    assert pipe.writes == ["0\n1\n2\n"]
    lines.put("3")
    await asyncio.sleep(0)
    assert pipe.writes[1:] == ["3\n"]


async def test_an_error_does_not_wait() -> None:
    """It is written at once, behind what was said before it."""
    pipe = Pipe()
    handler = LinesHandler(Lines(pipe))
    for level in (logging.INFO, logging.ERROR, logging.INFO):
        handler.handle(logging.LogRecord("x", level, "", 0, logging.getLevelName(level), None, None))
    assert pipe.writes == ["INFO\nERROR\n"]
    handler.flush()
    assert pipe.writes[1:] == ["INFO\n"]


def test_where_no_loop_runs_nothing_waits() -> None:
    """Each line is written as it comes."""
    pipe = Pipe()
    lines = Lines(pipe)
    lines.put("a")
    lines.put("b")
    assert pipe.writes == ["a\n", "b\n"]


def test_what_a_loop_leaves_is_written_by_the_next_one() -> None:
    """A loop that has ended before its next turn is not waited for."""
    pipe = Pipe()
    lines = Lines(pipe)

    async def say(line: str) -> None:
        lines.put(line)

    for line in ("a", "b"):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(say(line))
        loop.close()
    lines.flush()
    assert "".join(pipe.writes) == "a\nb\n"


async def test_threads_lose_nothing() -> None:
    """Lines of a loop and of threads are all there, each once, and each one's in its order."""
    pipe = Pipe()
    lines = Lines(pipe)

    def say(name: str) -> None:
        for number in range(2000):
            lines.put(f"{name} {number}")

    threads = [Thread(target=say, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for number in range(2000):
        lines.put(f"loop {number}")
        if number % 10 == 0:
            await asyncio.sleep(0)
    for thread in threads:
        thread.join()
    lines.flush()
    said = "".join(pipe.writes).splitlines()
    for name in ("a", "b", "loop"):
        assert [line for line in said if line.startswith(f"{name} ")] == [f"{name} {n}" for n in range(2000)]


@pytest.mark.parametrize("line", ["x" * 300, "é" * 300, "\ud800" * 100])
async def test_a_write_is_no_longer_than_a_pipe_takes_at_once(line: str) -> None:
    """So that lines of several workers stay whole; whatever is in them."""
    pipe = Pipe()
    lines = Lines(pipe)
    for _ in range(100):
        lines.put(line)
    lines.flush()
    assert "".join(pipe.writes) == f"{line}\n" * 100
    sizes = [len(text.encode(errors="backslashreplace")) for text in pipe.writes]
    assert all(AT_ONCE_BYTES / 2 < size <= AT_ONCE_BYTES for size in sizes[:-1])


async def test_nothing_is_lost_at_exit() -> None:
    """What waits when the interpreter ends is written, also where the loop has had no other turn."""
    program = """if True:
        import asyncio, logging
        from peoplegraph.observe import logs
        from peoplegraph.settings import LogFormat, LogSettings
        logs.configure(LogSettings(format=LogFormat.JSON))
        def say():
            logging.getLogger("x").info("the last line")
            loop.stop()
        loop = asyncio.new_event_loop()
        loop.call_soon(say)
        loop.run_forever()
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert b"the last line" in said


async def test_nobody_who_reads_it_is_no_error() -> None:
    """A stream that is closed takes nothing more, and who logs is not told."""
    stream = io.StringIO()
    lines = Lines(stream)
    stream.close()
    lines.put_now("x")
