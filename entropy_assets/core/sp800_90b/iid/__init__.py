"""The IID track of NIST SP 800-90B 5: whether samples look independent and identically distributed."""
