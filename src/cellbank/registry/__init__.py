"""The side that serves: who may do what, what is reachable, and the HTTP API over one place."""
