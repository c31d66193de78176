"""HTTP: the server and its edge."""

from kratos.transport.http.server import HTTPServer

__all__ = ["HTTPServer"]
