"""What a server must be like before the ledger is written on it: it keeps what it acknowledges, and nobody took over.

An asynchronous standby lacks what was acknowledged last. Once it is promoted, those publications are gone, and would be
made again. So a synchronous standby is required, unless the operator says that there is one server alone. And a ledger
is written in one epoch only: by the server, and on the timeline, that somebody accepted. A promotion and a recovery
to a point in time begin a new timeline.
"""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from entropy_assets.stores.ledger.storage import LedgerPromoted, UnsafeLedgerServer

_STATE: Final = sa.text(
    "SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),"
    " current_setting('fsync'), (SELECT system_identifier FROM pg_control_system())::text,"
    # The timeline of the last checkpoint lags behind a promotion; that of the log that is being written does not.
    " CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,"
    # Who may not see the state of a standby sees at least that there is one.
    " (SELECT coalesce(bool_or(sync_state IS NULL OR sync_state IN ('sync', 'quorum')), false)"
    " FROM pg_stat_replication)"
)
_ACCEPTED: Final = sa.text("SELECT system_identifier, timeline FROM epochs ORDER BY seq DESC LIMIT 1")
_WAITS_FOR_STANDBY: Final = ("on", "remote_apply")


@dataclass(frozen=True, slots=True)
class Epoch:
    """Who writes the ledger: a database system, on one of its timelines."""

    system_identifier: str
    timeline: int

    def __str__(self) -> str:
        return f"{self.system_identifier}/{self.timeline}"


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server says of itself.

    Attributes
    ----------
    commit, standbys, fsync
        Its settings ``synchronous_commit``, ``synchronous_standby_names`` and ``fsync``, as this connection has them.
    epoch
        Who it is; None of a standby, which nobody writes to.
    has_standby
        Whether a synchronous standby is connected, as far as this user may see.
    """

    commit: str
    standbys: str
    fsync: str
    epoch: Epoch | None
    has_standby: bool

    @classmethod
    def of(cls, connection: sa.Connection) -> "ServerState":
        """Ask the server of a connection."""
        commit, standbys, fsync, system, timeline, has_standby = connection.execute(_STATE).one()
        epoch = None if timeline is None else Epoch(system, int(timeline, 16))
        return cls(commit, standbys, fsync, epoch, has_standby)

    def doubts(self, *, is_single: bool) -> list[str]:
        """Return why it may lose what it acknowledges; nothing if it keeps it."""
        found = []
        if self.epoch is None:
            found.append(
                "it is a standby: name the primary, or let libpq look for it (target_session_attrs=read-write)"
            )
        if self.fsync != "on":
            found.append("fsync is off")
        if self.commit not in _WAITS_FOR_STANDBY:
            found.append(f"synchronous_commit is {self.commit}, not on or remote_apply")
        if not is_single and not self.standbys:
            found.append(
                "synchronous_standby_names is empty: give it a synchronous standby, or say"
                " ENTROPY_LEDGER_SINGLE_SERVER=true if nobody will ever fail over"
            )
        elif self.standbys and not self.has_standby:
            found.append("no synchronous standby is connected, so no write would be acknowledged")
        return found


def refuse_unsafe(state: ServerState, name: str, *, is_single: bool) -> None:
    """Raise unless a server keeps what it acknowledges.

    Raises
    ------
    UnsafeLedgerServer
        With every reason.
    """
    if doubts := state.doubts(is_single=is_single):
        raise UnsafeLedgerServer(
            f"the ledger {name} is on a server that may lose what was published: {'; '.join(doubts)}", path=name
        )


def accepted_epoch(connection: sa.Connection) -> Epoch | None:
    """Return the epoch that was accepted last; None of a ledger that has none."""
    row = connection.execute(_ACCEPTED).one_or_none()
    return None if row is None else Epoch(row[0], int(row[1]))


def refuse_promoted(connection: sa.Connection, present: Epoch | None, name: str, accepts: str | None) -> None:
    """Raise if the server is in another epoch than the one that was accepted last, and not in the one of `accepts`.

    Raises
    ------
    LedgerPromoted
        With both, and what to do.
    """
    accepted = accepted_epoch(connection)
    if present is None or present == accepted or str(present) == accepts:
        return
    raise LedgerPromoted(
        f"the ledger {name} is in epoch {present} and was accepted in {accepted}: another server took over, or its data"
        " were put back, and what was acknowledged last may be missing. Nothing is published before somebody accepts"
        " that: stop everything, make sure that the earlier server writes no more, look with 'entropy-assets ledger"
        f" check', and run 'entropy-assets ledger accept --epoch {present} --head' with the head that it tells",
        path=name, accepted=str(accepted), present=str(present),
    )  # fmt: skip
