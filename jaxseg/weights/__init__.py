"""Published checkpoints: read, renamed by data, merged strictly."""
