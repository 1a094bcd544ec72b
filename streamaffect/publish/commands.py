"""Commands from outside: read, obeyed within a time-out, answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from streamaffect.errors import StreamAffectError
from streamaffect.messages import Answer, Command

_LOG = logging.getLogger(__name__)
CommandHandler = Callable[[str, Command], Awaitable[Answer]]
"""Subject and command in, answer out. It starts things and does not wait for their end: commands come one by one."""


async def obey(handler: CommandHandler, subject: str, payload: bytes, timeout_s: float) -> Answer:
    """What became of the command. Whatever goes wrong is answered too: publishing does not end for the sake of a command.

    StreamAffectErrors are refusals; of other errors the log has the traceback.
    """
    try:
        command = Command.from_json(payload)
    except ValueError as error:
        return Answer(command=None, ok=False, error=str(error))
    try:
        async with asyncio.timeout(timeout_s):
            return await handler(subject, command)
    except StreamAffectError as error:
        return Answer(command=command.command, ok=False, error=str(error))
    except TimeoutError:
        return Answer(command=command.command, ok=False, error=f"not done within {timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 - whatever a handler raises, the river flows on
        _LOG.exception("command %s for %s failed", command.command, subject)
        return Answer(command=command.command, ok=False, error=f"{type(error).__name__}: {error}")
