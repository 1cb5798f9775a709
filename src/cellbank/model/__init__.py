"""What a package is: names, digests, manifests, the log and the errors; nothing here touches a disk."""
