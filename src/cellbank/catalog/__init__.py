"""What a person sees of a registry in a browser: its packages, each with a page."""
