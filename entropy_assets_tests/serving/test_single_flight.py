"""A slow question is asked once at a time, and nobody waits for it longer than the limit."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from entropy_assets.serving.single_flight import Questions, SingleFlight
from entropy_assets_tests.conftest import PROJECT


class Question:
    """A question that is answered when the test says so; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_end = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.asked += 1
            number = self.asked
        self.may_end.wait(30)
        return number

    async def was_asked(self, times: int) -> None:
        """Wait until it was asked so often: a thread may begin long after who waits for it has given up."""
        async with asyncio.timeout(20):
            while self.asked < times:  # noqa: ASYNC110 - it is asked in threads
                await asyncio.sleep(0.01)


async def test_who_asks_meanwhile_gets_the_same_answer() -> None:
    question = Question()
    flight = SingleFlight(question, 10)
    waiting = [asyncio.create_task(flight.answer()) for _ in range(20)]
    await asyncio.sleep(0.05)
    question.may_end.set()
    assert await asyncio.gather(*waiting) == [1] * 20
    assert await flight.answer() == 2, "what was answered is asked anew"


async def test_a_question_that_hangs_holds_one_thread_and_nobody_for_long() -> None:
    question = Question()
    flight = SingleFlight(question, 0.05)
    began = time.monotonic()
    assert await asyncio.gather(*(flight.answer() for _ in range(50))) == [None] * 50
    assert await flight.answer() is None
    assert time.monotonic() - began < 2
    await question.was_asked(1)
    assert question.asked == 1
    question.may_end.set()
    flight.limit_s = 20
    answers = [await flight.answer() for _ in range(2)]
    assert answers in ([1, 2], [2, 3]), "the one that hung, if it had not ended yet, and then anew"


async def test_an_answer_that_is_young_enough_is_given_again() -> None:
    question = Question()
    question.may_end.set()
    flight = SingleFlight(question, 10)
    assert [await flight.answer(60.0) for _ in range(5)] == [1] * 5
    assert await flight.answer() == 2, "who wants it new gets it new"
    await asyncio.sleep(0.02)
    assert await flight.answer(0.01) == 3


async def test_a_question_that_fails_fails_for_who_asked_and_is_asked_anew() -> None:
    asked: list[int] = []

    def fail() -> int:
        asked.append(1)
        raise ZeroDivisionError

    flight = SingleFlight(fail, 5)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await flight.answer()
    assert len(asked) == 2


def test_no_end_of_a_process_waits_for_a_question_that_hangs() -> None:
    code = """
import asyncio, time
from entropy_assets.serving.single_flight import SingleFlight
async def main():
    print(await SingleFlight(lambda: time.sleep(3600), 0.1).answer())
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "None\n")


async def test_few_questions_run_side_by_side_and_none_is_waited_for_beyond_the_limit() -> None:
    """One that hangs keeps its place until it ends; then others get their turn again."""
    question = Question()
    questions = Questions(0.1, most=2)
    asked = await asyncio.gather(*(questions.answer(question) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in asked] == [TimeoutError] * 5
    await question.was_asked(2)
    assert question.asked == 2
    question.may_end.set()
    questions.limit_s = 20
    assert sorted(await asyncio.gather(*(questions.answer(question) for _ in range(5)))) == [3, 4, 5, 6, 7]
