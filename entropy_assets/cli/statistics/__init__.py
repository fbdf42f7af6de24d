"""Commands that test bits by the statistics of NIST: the suite of SP 800-22, with its text and its page."""
