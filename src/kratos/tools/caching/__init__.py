"""``kratos cache``: classes that cache, written from Protocols that say what is cached."""
