"""gRPC: the server on grpcio."""

from kratos.transport.grpc.server import GRPCServer

__all__ = ["GRPCServer"]
