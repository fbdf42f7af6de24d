"""What P-values of many sequences or blocks say together (SP 800-22 4.2)."""
