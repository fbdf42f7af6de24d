"""Auditable randomness from space images, as a Dagster project.

The map, from what the bytes are to who reads them::

    errors      one tree of typed errors, each carrying data
    recipe      every number that changes a byte, frozen under a name
    settings    places, limits, thresholds; the only reader of the environment
    core/       what the bytes are: frames, noise, credit, hashing, tests (pure)
    stores/     where they live: images, batches, ledger, pool
    sources/    where images come from: drop folder, simulated camera
    stages/     the five stages of a batch over the stores, one file for each Dagster group
    history     the verdicts of all batches in one table
    defs/       when they are made: Dagster assets, checks, jobs, sensors, schedules
    definitions what Dagster loads
    serving/    who reads them: HTTP
    client/     who draws over HTTP: mixed with the machine's own bytes; imports nothing of ours but the errors
    feed        drawn bytes for the kernel's generator, without credit
    process     the stages in one process, without daemon or pool
    audit       served block -> record -> images -> the same bytes, by ledger and batch
    witness     the same by an outsider: what the service tells, the images, nothing else
    api         the four classes in one import
    supervisor  pool server, Dagster and HTTP service as one thing that starts and stops
    narrator    what that thing tells while it runs
    shell       what every command has in common
    keys_command, service_commands, cli   the ``entropy-assets`` command

Imports flow one way, ``core <- stores <- sources, stages <- defs, serving, audit, api <- cli``; the contracts in
``pyproject.toml`` hold every module to its floor.
"""
