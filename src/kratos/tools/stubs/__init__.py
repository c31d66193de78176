"""First drafts: a ``.proto`` file to begin a contract with, and the Python that implements its services."""
