"""Who may have what: keys, scopes and limits. No web framework."""
