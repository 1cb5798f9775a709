"""Cell-line packages: records, their relations, and how a lab's tables become them."""
