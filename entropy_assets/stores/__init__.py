"""Where the bytes live: one outside thing per file; its docstring says what it is trusted for."""
