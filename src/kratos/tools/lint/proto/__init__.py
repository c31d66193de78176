"""Rules for the contract."""
