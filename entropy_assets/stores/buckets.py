"""Quotas: how many requests and bytes a subject may still have, kept by the pool's server for all workers at once.

Trusted for: fairness, never for who may come in. The server forgets it all at a restart, and then everybody has a full
burst again; an attacker who can write to it can lift or exhaust anybody's quota. An attacker who can read it sees which
keys and addresses were active; each is kept until its bucket is full again.

Each quota is a bucket in the form of the generic cell rate algorithm: it is full again at one moment, its *full time*,
and each unit taken moves that moment on by what the unit costs in microseconds. A bucket that is full needs no memory.

Keys, all beginning with the prefix ``entropy``::

    entropy:quota:requests, entropy:quota:bytes   ZSET   subject by full time, microseconds since 1970
"""

import hashlib
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from entropy_assets.errors import QuotaUnavailable

if TYPE_CHECKING:
    import redis

SHARD_AWAY_S: Final = 1.0
"""How long one of several servers is left alone that did not answer, seconds."""
ASKS_PER_CALL: Final = 128
"""So that no call holds the server for long."""

GRANT: Final = """
-- KEYS   1 requests, 2 bytes: full time by subject
-- ARGV   per ask: which key (1, 2), subject, need, want, microseconds a unit, microseconds a burst
--        need and want are whole units; a negative want gives so many back
-- return per ask: units granted, units left, microseconds until `need` could be granted (0 if it was)
-- All of `want` is granted, or what there is if that is `need` at least, or nothing.
local clock = redis.call('TIME')
local now = clock[1] * 1e6 + clock[2]
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now)) -- buckets that are full
end
local answer = {}
for i = 1, #ARGV, 6 do
  local key, subject = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  local need, want = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local cost, burst = tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
  local full = tonumber(redis.call('ZSCORE', key, subject) or now)
  -- more than a burst ahead only after the clock was set back: the wait stays a burst then
  full = math.min(math.max(full, now), now + burst)
  local free = math.floor((now + burst - full) / cost + 1e-6)
  local granted = 0
  if want < 0 then granted = want
  elseif free >= want then granted = want
  elseif free >= need then granted = free end
  if granted ~= 0 then
    -- rounded up: a unit too few may be given out, never one too many
    full = math.max(now, math.ceil(full + granted * cost))
    redis.call('ZADD', key, string.format('%.0f', full), subject)
  end
  local wait = 0
  if want > 0 and granted == 0 then wait = math.max(1, math.ceil(full + need * cost - burst - now)) end
  answer[#answer + 1] = granted
  answer[#answer + 1] = math.max(0, math.floor((now + burst - full) / cost))
  answer[#answer + 1] = wait
end
return answer
"""


class Ask(NamedTuple):
    """Units wanted by a subject: `want`, or what there is if it is `need` at least; a negative `want` gives back."""

    of_bytes: bool
    subject: str
    need: int
    want: int
    cost_us: float
    burst_us: float


class Grant(NamedTuple):
    """What an ask got, what its bucket still holds, and the microseconds until `need` could be granted."""

    units: int
    left: int
    wait_us: int


class Buckets(Protocol):
    """Where the buckets are."""

    def grant(self, asks: Sequence[Ask]) -> Sequence[Grant | None]:
        """Answer `asks`, in their order; None for each that nobody can tell while others can be asked.

        Raises
        ------
        QuotaUnavailable
            If nobody can tell anything, of whomever it is.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class SharedBuckets:
    """Buckets on a Redis or Valkey, one truth for every worker that shares the server.

    Nothing is asked twice: units of a lost reply are gone until their bucket fills again.

    Parameters
    ----------
    client
        A connected client with retries off.
    prefix
        First part of both keys; give it a hash tag on a cluster.
    """

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._keys = [f"{prefix}:quota:requests", f"{prefix}:quota:bytes"]
        self._grant = client.register_script(GRANT)

    @classmethod
    def from_url(cls, url: str, *, prefix: str, timeout_s: float = 0.25) -> Self:
        """Make one for the server at `url`; connects on first use and waits `timeout_s` for a reply, seconds.

        Raises
        ------
        PoolAddressInvalid
            If `url` is no address.
        """
        from entropy_assets.stores.redis_server import client_of

        client = client_of(
            url,
            key=f"{prefix}:quota:bytes",
            connect_timeout_s=timeout_s,
            timeout_s=timeout_s,
            max_connections=2,
        )
        return cls(client, prefix=prefix)

    def grant(self, asks: Sequence[Ask]) -> list[Grant]:
        """Answer `asks`, in their order."""
        import redis

        try:
            return [
                grant
                for start in range(0, len(asks), ASKS_PER_CALL)
                for grant in self._call(asks[start : start + ASKS_PER_CALL])
            ]
        except redis.RedisError as error:
            from entropy_assets.stores.redis_server import words_of

            raise QuotaUnavailable(
                f"the server that keeps the quotas did not do as asked: {words_of(error)}"
            ) from error

    def _call(self, asks: Sequence[Ask]) -> list[Grant]:
        arguments: list[Any] = []
        for ask in asks:
            arguments += [
                2 if ask.of_bytes else 1,
                ask.subject,
                ask.need,
                ask.want,
                repr(ask.cost_us),
                repr(ask.burst_us),
            ]
        reply: list[int] = self._grant(keys=self._keys, args=arguments)
        return [Grant(*three) for three in zip(*[iter(reply)] * 3, strict=True)]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class ShardedBuckets:
    """Buckets on several servers: those of a subject are on one of them, which follows from its name and their homes.

    So no subject has two limits, whoever thinks which server is away. While its server is away nobody can tell what it
    has left. A list of other servers moves the buckets of some subjects, and those have a full burst again.

    Parameters
    ----------
    shards
        The buckets of each server, by a name of the server that does not depend on who asks or in which order.
    clock
        Monotonic seconds.
    """

    def __init__(self, shards: Mapping[str, Buckets], clock: Callable[[], float] = time.monotonic) -> None:
        self._shards = dict(shards)
        self._clock = clock
        self._away_until = dict.fromkeys(shards, -math.inf)

    def grant(self, asks: Sequence[Ask]) -> Sequence[Grant | None]:
        """Answer `asks`, in their order; None for each whose server is away."""
        at = defaultdict(list)
        for number, ask in enumerate(asks):
            at[self._home_of(ask.subject)].append(number)
        answers: list[Grant | None] = [None] * len(asks)
        problem: QuotaUnavailable | None = None
        for home, numbers in at.items():
            if self._clock() < self._away_until[home]:
                continue  # others would wait for it
            try:
                grants = self._shards[home].grant([asks[number] for number in numbers])
            except QuotaUnavailable as error:
                problem = error
                self._away_until[home] = self._clock() + SHARD_AWAY_S
                continue
            for number, grant in zip(numbers, grants, strict=True):
                answers[number] = grant
        # Whoever hears of it asks nobody for a while, so a server that was not asked here must not be among them.
        if problem is not None and all(self._clock() < until for until in self._away_until.values()):
            raise problem
        return answers

    def _home_of(self, subject: str) -> str:
        """Return the server with the highest hash of both names: one that comes or goes moves only its own subjects."""
        return max(self._shards, key=lambda name: hashlib.sha256(f"{name} {subject}".encode()).digest())

    def close(self) -> None:
        """Close all of them."""
        for each in self._shards.values():
            each.close()


class LocalBuckets:
    """Buckets of this process alone, by the same rules; for holders of keys while the server is away.

    Parameters
    ----------
    now_us
        Monotonic microseconds.
    """

    def __init__(self, now_us: Callable[[], float] = lambda: time.monotonic_ns() // 1000) -> None:
        self._now_us = now_us
        self._full: dict[tuple[bool, str], float] = {}

    def grant(self, asks: Sequence[Ask]) -> list[Grant]:
        """Answer `asks`, in their order."""
        now = self._now_us()
        self._full = {key: full for key, full in self._full.items() if full > now}
        return [self._one(ask, now) for ask in asks]

    def _one(self, ask: Ask, now: float) -> Grant:
        _, _, need, want, cost, burst = ask
        key = ask[:2]
        full = max(self._full.get(key, now), now)
        free = math.floor((now + burst - full) / cost + 1e-6)
        units = want if want < 0 or free >= want else free if free >= need else 0
        if units:
            self._full[key] = full = max(now, math.ceil(full + units * cost))
        refused = want > 0 and units == 0
        wait = max(1, math.ceil(full + need * cost - burst - now)) if refused else 0
        return Grant(units, max(0, math.floor((now + burst - full) / cost)), wait)

    def close(self) -> None:
        """Do nothing."""


def buckets_at(addresses: Sequence[str], *, prefix: str) -> Buckets:
    """Return the buckets on the server of a pool, or on those of several.

    Raises
    ------
    PoolAddressInvalid
        If an address is none.
    """
    if len(addresses) == 1:
        return SharedBuckets.from_url(addresses[0], prefix=prefix)
    # without the user and its password, which differ from program to program
    return ShardedBuckets({url.rpartition("@")[2]: SharedBuckets.from_url(url, prefix=prefix) for url in addresses})
