"""What a network sees and what it costs, without running it."""
