"""Auditable randomness from space images, as a Dagster project.

The rooms, from what the bytes are to who reads them; docs/ARCHITECTURE.md has every file::

    errors       one tree of typed errors, each carrying data
    recipe       every number that changes a byte, frozen under a name
    scopes       what somebody may ask the service for
    settings     places, limits, thresholds; the only reader of the environment
    core/        what the bytes are: frames, noise, credit, blocks, their tests; pure
    images/      from a file to a frame, nothing trusted
    stores/      where they live: images, batches, inbox, ledger, pool, keys
    sources/     where images come from: the simulated camera
    stages/      what happens to a batch: one file for each Dagster group
    provenance/  where a block comes from, and the way back to its images
    defs/        when they are made: Dagster's assets, checks, jobs, sensors, schedules
    definitions  what Dagster loads
    serving/     who reads them: the HTTP service
    client/      who draws over HTTP; the standard library alone
    supervisor/  pool server, Dagster and service as one thing that starts and stops
    api          the four classes in one import
    cli/         the ``entropy-assets`` command
    samples/     images, with source, credit and licence of each

Imports flow one way, ``core <- images <- stores <- sources, stages <- provenance <- defs, serving, supervisor <- cli``;
the contracts in ``pyproject.toml`` hold every module to its floor.
"""
