"""Work in a task of its own, for whoever goes on after its failures and yet must end when told to."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def alone(work: Awaitable[T]) -> T:
    """What `work` gives or raises; told to end meanwhile, CancelledError, whatever `work` made of it.

    Before Python 3.13 a TaskGroup forgets that it was told to end if one of its tasks fails at the same moment.
    """
    outer = asyncio.current_task()
    assert outer is not None
    before = outer.cancelling()
    try:
        return await asyncio.ensure_future(work)
    finally:
        if outer.cancelling() > before:
            raise asyncio.CancelledError
