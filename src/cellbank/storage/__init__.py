"""Where the bytes lie: objects, packs, places, remotes and the way between them; none is opened."""
