"""What a person does with a package: build it, look into it, compare, export and check it."""
