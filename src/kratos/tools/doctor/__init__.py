"""What may be wrong with an installation or a project, found before it hurts."""
