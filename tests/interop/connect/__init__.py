"""Judged by Connect's conformance suite: our gRPC server on both engines, and our gRPC client."""
