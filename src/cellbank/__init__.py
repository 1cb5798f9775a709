"""cellbank."""
