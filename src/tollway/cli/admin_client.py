"""The admin API as the commands use it: one connection, JSON, problem documents as `CommandError`s.
Follows no redirect: the token goes to the host it was given for and nowhere else.
"""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tollway.cli.outcomes import UNAVAILABLE, USAGE, CommandError, code_of_status
from tollway.domain.brand import COMMAND

PREFIX = "/api/v1"
_TIMEOUT_S = 60.0
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: the decoded body (None without one) and the object's ETag."""

    body: Any
    etag: str | None = None


class AdminClient:
    """One server, one token. Close it after use."""

    def __init__(
        self, url: str, token: str, *, context: ssl.SSLContext | None = None, hint: str = ""
    ) -> None:
        """`hint` is said when the token opens nothing. Raises CommandError for a wrong URL."""
        self.url = url.rstrip("/")
        self._token = token
        self._hint = hint
        self._prefix, self._connection = _connection(self.url, context)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        if_match: str | None = None,
    ) -> Answer:
        """One request, `path` without `/api/v1`. Raises CommandError for whatever is no success."""
        target = self._prefix + PREFIX + path + (f"?{_query(query)}" if query else "")
        headers = {"authorization": f"Bearer {self._token}", "accept": "application/json"}
        content: bytes | None = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        if if_match is not None:
            headers["if-match"] = if_match
        try:
            self._connection.request(method, target, content, headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message.rstrip(".")
            raise CommandError(
                f"The certificate of {self.url} is not trusted: {reason}. "
                "Its authority is one of the system's, or in the file that SSL_CERT_FILE names.",
                UNAVAILABLE,
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(
                f"The admin API at {self.url} does not answer: {error or type(error).__name__}. "
                f"Is `{COMMAND} serve` running there?",
                UNAVAILABLE,
            ) from error
        if not 200 <= answer.status < 300:
            raise self._refused(answer.status, text)
        return Answer(self._decoded(text), answer.headers.get("etag"))

    def listed(
        self, path: str, *, query: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """A list's objects, part by part to its end, at most `limit` of them."""
        left, cursor = limit, None
        while left is None or left > 0:
            asked = dict(query or {})
            asked["limit"] = _PAGE if left is None else min(left, _PAGE)
            if cursor is not None:
                asked["cursor"] = cursor
            page = self.ask("GET", path, query=asked).body
            shown = page["data"] if left is None else page["data"][:left]
            yield from shown
            cursor = page.get("next_cursor")
            if cursor is None:
                return
            left = None if left is None else left - len(shown)

    def _decoded(self, text: bytes) -> Any:
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise CommandError(
                f"{self.url} answers, but not as the admin API does. Is the URL right?", UNAVAILABLE
            ) from error

    def _refused(self, status: int, text: bytes) -> CommandError:
        message = _problem(text)
        if message is None:
            message = f"{self.url} answers {status}, but not as the admin API does."
        if status == 401 and self._hint:
            message = f"{message}\n{self._hint}"
        return CommandError(message, code_of_status(status))


def _connection(url: str, context: ssl.SSLContext | None) -> tuple[str, http.client.HTTPConnection]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise CommandError(f"{url} is no URL: {error}", USAGE) from error
    if not host or parts.scheme not in ("http", "https") or parts.query:
        raise CommandError(f"{url} is no URL such as https://admin.example.org.", USAGE)
    prefix = parts.path.rstrip("/").removesuffix(PREFIX)
    if parts.scheme == "https":
        return prefix, http.client.HTTPSConnection(
            host, port, timeout=_TIMEOUT_S, context=context or ssl.create_default_context()
        )
    return prefix, http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)


def _query(query: Mapping[str, Any]) -> str:
    return urlencode(
        {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in query.items()
            if value is not None
        }
    )


def _problem(text: bytes) -> str | None:
    """Title and detail, then the fields at fault that the detail does not name."""
    try:
        problem = json.loads(text)
        lines = [f"{problem['title']}: {problem['detail']}"]
        for wrong in problem.get("errors", ()):
            if wrong["message"] not in problem["detail"]:
                lines.append(f"  {wrong['field']}: {wrong['message']}")
            elif wrong["field"] not in problem["detail"]:
                lines[0] += f" ({wrong['field']})"
    except (ValueError, KeyError, TypeError):
        return None
    return "\n".join(lines)
