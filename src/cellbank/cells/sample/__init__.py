"""A lab's export for trying things out: tables, images around real nuclei, and the recipe."""
