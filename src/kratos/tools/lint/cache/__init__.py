"""Rules for what is kept in a cache."""
