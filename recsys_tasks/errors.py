"""
Every error this package raises on purpose, grouped by what the operator should do.

* RecsysError
  + SettingsError      -- fix shop.yaml or the environment
  + DataError          -- the input is wrong: fix the data; the same input gives the same error
    - SchemaMismatch
    - EmptyPartition
    - TooManyBadRows
    - NightOutOfRange
    - LeakFound
  + SourceError        -- the shop's database or files did not answer: retry
  + MissingArtefact    -- an earlier step has not run: run it
  + Busy               -- somebody else works on this night: wait
  + TrainingFailed     -- a training, or encoding, ended badly: do what it says, look at the task's log
  + PublishRefused     -- the output looks wrong: look before publishing; yesterday's lists stay live
  + StoreUnavailable   -- the serving database did not answer: retry
  + NoSpace            -- the disk is full: free some space, then retry

``exit_code`` is what the command line returns, so that a script can tell them apart.
"""


class RecsysError(Exception):
    """Root of the tree; callers that only need "ours or not" catch this."""

    exit_code = 1


class SettingsError(RecsysError):
    """``shop.yaml`` or the environment says something impossible."""

    exit_code = 2


class DataError(RecsysError):
    """Input data breaks a contract."""

    exit_code = 3


class SchemaMismatch(DataError):
    """A frame or a source lacks columns or types its reader relies on."""


class EmptyPartition(DataError):
    """A night that should hold events (or a catalogue that should hold items) holds none."""


class TooManyBadRows(DataError):
    """More rows were rejected than ``max_rejected`` allows."""


class NightOutOfRange(DataError):
    """The night lies in the future, before the first event, or is no date at all."""


class LeakFound(DataError):
    """The time audit found the future in tonight's training data."""


class SourceError(RecsysError):
    """A source could not be read."""

    exit_code = 4


class MissingArtefact(RecsysError):
    """A step needs what an earlier step of this night has not made yet."""

    exit_code = 5


class Busy(RecsysError):
    """Another process holds the lock of this night and artefact."""

    exit_code = 6


class TrainingFailed(RecsysError):
    """A training, or a model that was asked, ended with an error."""

    exit_code = 7


class PublishRefused(RecsysError):
    """The audit before the switch failed; the live lists were not touched."""

    exit_code = 8


class StoreUnavailable(RecsysError):
    """The serving database could not be reached, or the connection broke; what was live stays live."""

    exit_code = 9


class NoSpace(RecsysError):
    """The disk, or the operator's share of it, is full; what was written before is whole."""

    exit_code = 10
