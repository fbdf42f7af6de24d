"""NIST SP 800-22 rev 1a: the fifteen tests of one sequence of bits, with their 188 P-values."""
