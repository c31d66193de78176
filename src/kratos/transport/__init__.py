"""How calls travel: the protocol-free trunk, and one room per protocol."""
