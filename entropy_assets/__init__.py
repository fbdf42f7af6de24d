"""Auditable randomness from space images, as a Dagster project.

The map, from what the bytes are to who reads them::

    errors      one tree of typed errors, each carrying data
    recipe      every number that changes a byte, frozen under a name
    settings    places, limits, thresholds; the only reader of the environment
    core/       what the bytes are: frames, noise, credit, hashing, tests (pure)
    stores/     where they live: images, batches, ledger, pool
    sources/    where images come from: drop folder, simulated camera
    defs/       when they are made: Dagster assets, checks, jobs, sensors, schedules
    serving/    who reads them: HTTP
    audit       served block -> record -> images -> the same bytes
    api         the four classes in one import
    cli         the ``entropy-assets`` command

Imports flow one way: ``core <- stores <- sources, defs, serving, audit, api <- cli``.
"""
