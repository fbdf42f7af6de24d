"""From bytes to an answer: class, format, integers, pieces, and what can be answered from memory. No web framework."""
