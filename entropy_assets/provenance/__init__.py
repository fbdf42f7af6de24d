"""Where a block comes from: told from ledger and batch, walked again by the operator, or by an outsider."""
