"""Kratos for Python: microservices from one contract, over HTTP and gRPC."""
