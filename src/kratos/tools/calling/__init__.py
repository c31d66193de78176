"""Calls from the command line: which operation is meant, what is sent, what comes back."""
