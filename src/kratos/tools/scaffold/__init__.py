"""New projects: their names, the templates they are made of, and how they come to be."""
