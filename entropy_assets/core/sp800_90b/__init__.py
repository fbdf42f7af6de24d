"""The estimators and health tests of NIST SP 800-90B."""
