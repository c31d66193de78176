"""The smallest service there is: one handler, answered over HTTP and gRPC."""
