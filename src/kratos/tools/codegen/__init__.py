"""From ``.proto`` files to typed Python: messages, services, clients and error classes."""
