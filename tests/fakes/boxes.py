"""A `SecretBox` that hides nothing: for tests that look at what travels."""

from tollway.app.ports import SecretError


class PlainBox:
    """Only checks the purpose."""

    def seal(self, secret, purpose):
        return purpose.encode() + b":" + secret

    def open(self, envelope, purpose):
        head, _, secret = envelope.partition(b":")
        if head != purpose.encode():
            raise SecretError("wrong purpose")
        return secret
