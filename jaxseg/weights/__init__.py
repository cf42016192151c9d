"""Published checkpoints: read, renamed by rules that are data, merged strictly."""
