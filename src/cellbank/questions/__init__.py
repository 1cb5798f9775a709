"""Questions about metadata: asked of tables wherever they are, answered in a process of its own."""
