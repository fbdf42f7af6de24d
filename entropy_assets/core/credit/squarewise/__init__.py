"""What is remembered and compared square by square: each counts the same, whatever its light or its maker says."""
