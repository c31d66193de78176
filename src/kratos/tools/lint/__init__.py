"""What is allowed and still unwise: rules for a project, one file for each family of them."""
