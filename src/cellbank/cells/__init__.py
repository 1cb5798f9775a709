"""Cell-line packages: records and their relations, and how a lab's tables and images become them."""
