"""What a package is: names, digests, manifests, the log, the errors; nothing touches a disk."""
