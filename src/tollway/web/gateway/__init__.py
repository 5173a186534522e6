"""The inbound side of the data plane: HTTP/1.1 server and request handler."""
