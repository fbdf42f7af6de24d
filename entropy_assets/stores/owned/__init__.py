"""What belongs to one process and ends with it: processes that it started, and temporary folders."""
