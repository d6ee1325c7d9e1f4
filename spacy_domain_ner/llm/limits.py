"""Keeping to a server's limits: requests and tokens per minute, and the pauses that it asks for."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

# A minute as the server counts it may begin a little after ours.
MINUTE = 61.0


class Limits:
    """Lets requests through as fast as the limits allow: never more than they say within any minute.

    Attributes:
        paused_until: No request goes out before this time of the clock.
    """

    def __init__(
        self,
        requests: int | None = None,
        tokens: int | None = None,
        period: float = MINUTE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Set the limits.

        Args:
            requests: The most requests within a period; None is without limit.
            tokens: The most tokens within a period; None is without limit.
            period: Its length in seconds.
            clock: Gives the time in seconds.
        """
        self._requests, self._tokens, self._period, self._clock = requests, tokens, period, clock
        self._sent: deque[_Sent] = deque()
        self._total = 0
        self._turn = asyncio.Lock()
        self.paused_until = 0.0

    async def wait(self, tokens: int) -> "_Sent":
        """Wait until a request may go out.

        Args:
            tokens: How many tokens it will use, as far as that is known.

        Returns:
            The request's entry, for `correct` when its use is known.
        """
        # One after the other: who waits longest goes first.
        async with self._turn:
            while (seconds := self._seconds_to_wait(tokens)) > 0:
                await asyncio.sleep(seconds)
            sent = _Sent(self._clock(), tokens)
            if self._requests is not None or self._tokens is not None:
                self._sent.append(sent)
                self._total += tokens
                sent.is_counted = True
            return sent

    def correct(self, sent: "_Sent", tokens: int) -> None:
        """Say how many tokens a request has used.

        Args:
            sent: Its entry.
            tokens: The tokens of prompt and answer.
        """
        if sent.is_counted:
            self._total += tokens - sent.tokens
        sent.tokens = tokens

    def pause(self, seconds: float) -> None:
        """Let nothing through for a while: the server has asked for it.

        Args:
            seconds: How long.
        """
        self.paused_until = max(self.paused_until, self._clock() + seconds)

    def _seconds_to_wait(self, tokens: int) -> float:
        now = self._clock()
        while self._sent and self._sent[0].time <= now - self._period:
            oldest = self._sent.popleft()
            oldest.is_counted = False
            self._total -= oldest.tokens
        wait = self.paused_until - now
        # A single request that is larger than the limit goes out alone: the server may refuse it, and we can't know.
        crowded = self._tokens is not None and self._sent and self._total + tokens > self._tokens
        if self._sent and (crowded or (self._requests is not None and len(self._sent) >= self._requests)):
            wait = max(wait, self._sent[0].time + self._period - now)
        return wait


class _Sent:
    """A request that went out: when, with how many tokens, and whether it is within the last period."""

    def __init__(self, time: float, tokens: int) -> None:
        self.time, self.tokens, self.is_counted = time, tokens, False
