"""The socket of a server."""

import socket

from enct5.errors import EncT5Error


def bound(host: str, port: int) -> socket.socket:
    """A socket of an address, which refuses connections until it is listened to.

    Raises:
        EncT5Error: for an address that cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        raise EncT5Error(f"cannot serve at {host} port {port}: {error.strerror or error}; choose another") from error
    return found
