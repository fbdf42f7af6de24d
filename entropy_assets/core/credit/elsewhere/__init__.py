"""Earlier frames that lie otherwise, or of which a frame was made by halving it or by alternating signs."""
