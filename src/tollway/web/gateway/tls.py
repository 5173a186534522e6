"""The TLS context of our own sockets. Public TLS is better ended at a load balancer."""

import ssl


def server_tls(cert_file: str, key_file: str | None = None) -> ssl.SSLContext:
    """A server context from PEM files: TLS 1.2 and up, HTTP/1.1 only.

    `cert_file` holds the chain, leaf first, and the key too when `key_file` is None. Raises
    OSError or ssl.SSLError (an OSError) when they cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(cert_file, key_file)
    return context
