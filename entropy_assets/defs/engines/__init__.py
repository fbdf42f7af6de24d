"""Which of Dagster's engines carry the runs, and what those lack; settings and ``dagster.yaml`` choose."""
