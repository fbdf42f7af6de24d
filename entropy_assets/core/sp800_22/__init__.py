"""Algorithms of NIST SP 800-22 that more than one room needs."""
