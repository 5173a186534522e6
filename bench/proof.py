"""Before anything is measured: each subject answers rightly, refuses a wrong key, and passes on
streams event by event. A figure of a subject that does less than the others would be no comparison.
"""

import http.client
import json
from collections.abc import Callable

from bench.chat import PATH, answer_body, request_body, stream_events
from bench.subject import DIRECT, StartError, Subject

_CHUNKS = 100


def prove(subject: Subject, note: Callable[[str], None]) -> None:
    """Raises StartError when an answer is wrong; notes what is right but changed on the way."""
    status, answer = _ask(subject.port, request_body(), subject.key)
    if status != 200 or json.loads(answer)["usage"] != json.loads(answer_body())["usage"]:
        raise StartError(f"{subject.name} answers {status}: {answer[:300]!r}")
    if answer != answer_body():
        note(f"{subject.name} changes the body of whole answers")
    status, streamed = _ask(subject.stream_port, request_body(_CHUNKS), subject.key)
    events = [event + b"\n\n" for event in streamed.split(b"\n\n")[:-1]]
    expected = stream_events(_CHUNKS)
    if status != 200 or len(events) != len(expected):
        raise StartError(
            f"{subject.name} streams {status}, {len(events)} events instead of {len(expected)}: "
            f"{streamed[:300]!r}"
        )
    if events != expected:
        note(f"{subject.name} changes the events of streams")
    status, _ = _ask(subject.port, request_body(), "tw_wrong")
    if status != 401 and subject.name != DIRECT:
        raise StartError(f"{subject.name} answers a wrong key with {status}")


def _ask(port: int, body: bytes, key: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
