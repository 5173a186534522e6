"""Names below the top level: another spelling, or a name twice, must not hide what is judged.

Servers in Go read names without regard to case (a long s is an s to them, the Kelvin sign a k), the
last one counting, and merge objects of one name; others take the first.
"""

import json

import pytest
from msgspec import Raw

from tollway.dialects.ask import Ask
from tollway.dialects.multipart import text_part, written
from tollway.dialects.registry import ENDPOINTS
from tollway.dialects.spelling import Doubled, read_value
from tollway.domain.refusal import BadRequest

CHAT, TALK, ANSWERS = b"/v1/chat/completions", b"/v1/messages", b"/v1/responses"
COUNT, RERANK, JUDGED = b"/v1/messages/count_tokens", b"/v1/rerank", b"/v1/moderations"
EMBEDDINGS = b"/v1/embeddings"
FILE = "file:///etc/passwd"


def parsed(path, **fields):
    """What becomes of a request with these fields."""
    return sent(path, json.dumps({"model": "m", "max_tokens": 9, **fields}, separators=(",", ":")))


def sent(path, text):
    """The same of a body's text."""
    return ENDPOINTS[path].parse(text.encode())


def user(*parts, name="content"):
    """One message of these parts."""
    return [{"role": "user", name: list(parts)}]


def link(name="image_url", url="url"):
    """A part that a provider would open."""
    return {"type": "image_url", name: {url: FILE}}


PARTS = {
    "IMAGE_URL": link("IMAGE_URL"),
    "Image_url": link("Image_url"),
    "image_Url": {"type": "image_url", "image_Url": FILE},
    "URL": link(url="URL"),
    "Type": {"type": "image_url", "Type": "text", "image_url": {"url": "https://x/y"}},
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("path", [CHAT, TALK, COUNT])
def test_a_part_of_a_message_in_another_spelling(path, name):
    """The refusal names it."""
    found = parsed(path, messages=user(PARTS[name]))
    assert isinstance(found, BadRequest)
    assert (found.code, found.param) == ("invalid_parameter_name", f"messages.{name}")
    assert f"'{name}' must be written '{name.casefold()}'" in found.message


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (CHAT, {"messages": user(link(), name="Content")}, "messages.Content"),
        (TALK, {"messages": user(link(), name="CONTENT")}, "messages.CONTENT"),
        (TALK, {"messages": [{"type": "image", "Source": {"type": "url", "url": FILE}}]},
         "messages.Source"),
        (TALK, {"messages": [{"source": {"type": "url", "Url": FILE}}]}, "messages.Url"),
        (TALK, {"messages": [{"source": {"TYPE": "url", "url": FILE}}]}, "messages.TYPE"),
        (TALK, {"messages": [{"source": {"type": "file", "File_Id": "f"}}]}, "messages.File_Id"),
        (TALK, {"messages": [], "mcp_servers": [{"type": "url", "URL": FILE}]}, "mcp_servers.URL"),
        (TALK, {"messages": [], "metadata": {"USER_ID": "u"}}, "metadata.USER_ID"),
        (TALK, {"messages": [], "metadata": {"u\u017fer_id": "u"}}, "metadata.u\u017fer_id"),
        (TALK, {"messages": [], "container": {"ID": "c"}}, "container.ID"),
        (TALK, {"messages": [], "container": {"\u017fkills": [{"type": "custom"}]}},
         "container.\u017fkills"),
        (TALK, {"messages": [], "container": {"s\u212aills": [{"type": "custom"}]}},
         "container.s\u212aills"),
        (TALK, {"messages": [], "container": {"skills": [{"Type": "custom"}]}}, "container.Type"),
        (ANSWERS, {"input": [{"ID": "msg_1", "role": "user"}]}, "input.ID"),
        (ANSWERS, {"input": [{"Type": "item_reference", "x": "msg_1"}]}, "input.Type"),
        (ANSWERS, {"input": [{"type": "mcp_approval_response", "Approval_Request_ID": "a"}]},
         "input.Approval_Request_ID"),
        (ANSWERS, {"input": [{"type": "input_file", "FILE_URL": FILE}]}, "input.FILE_URL"),
        (ANSWERS, {"tools": [{"type": "mcp", "Server_URL": FILE}]}, "tools.Server_URL"),
        (ANSWERS, {"tools": [{"type": "file_search", "Vector_Store_IDs": ["v"]}]},
         "tools.Vector_Store_IDs"),
        (ANSWERS, {"tools": [{"type": "code_interpreter", "Container": "c"}]}, "tools.Container"),
        (ANSWERS, {"tools": [{"container": {"type": "auto", "FILE_IDS": ["f"]}}]},
         "tools.FILE_IDS"),
        (ANSWERS, {"tools": [{"environment": {"Container_ID": "c"}}]}, "tools.Container_ID"),
        (CHAT, {"messages": [], "stream": True, "stream_options": {"Include_Usage": False}},
         "stream_options.Include_Usage"),
        (RERANK, {"query": "q", "documents": [{"Image_URL": FILE}]}, "documents.Image_URL"),
        (JUDGED, {"input": [link("Image_URL")]}, "input.Image_URL"),
    ],
)  # fmt: skip
def test_every_judged_name_is_held_to_its_spelling(path, fields, param):
    """Addresses, ids, types, and what they stand in."""
    found = parsed(path, **fields)
    assert isinstance(found, BadRequest)
    assert (found.code, found.param) == ("invalid_parameter_name", param)


@pytest.mark.parametrize(
    "text",
    [
        '[{"role":"user","\\u0043ontent":[{"image_url":"https://x"}]}]',
        '[{"role":"user","content":[{"image\\u005fURL":"file:///x"}]}]',
        '[{"role":"user","content":[{"\\u0049mage_url":"file:///x"}]}]',
    ],
)
def test_escapes_hide_no_spelling(text):
    """A name is what it says when it is read."""
    found = sent(CHAT, f'{{"model":"m","messages":{text}}}')
    assert isinstance(found, BadRequest)
    assert found.code == "invalid_parameter_name"


@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize(
    ("path", "text", "param"),
    [
        (CHAT, '"messages":[{"content":[{"image_url":{"url":"file:///x"},"image_url":{}}]}]',
         "messages.image_url"),
        (CHAT, '"messages":[{"content":[{"image_url":{"url":"file:///x","url":"https://x"}}]}]',
         "messages.url"),
        (CHAT, '"messages":[{"content":[{"image_url":{"url":"file:///x"}}],"content":"hi"}]',
         "messages.content"),
        (CHAT, '"messages":[{"content":[{"image_url":{"url":"file:///x"}}],"conten\\u0074":"_"}]',
         "messages.content"),
        (TALK, '"max_tokens":1,"messages":[{"source":{"type":"url","url":"file:///x"},"source":1}]',
         "messages.source"),
        (TALK, '"max_tokens":1,"messages":[{"source":{"type":"url","type":"text","url":"x:"}}]',
         "messages.type"),
        (TALK, '"max_tokens":1,"messages":[],"container":{"id":"c","id":null}', "container.id"),
        (ANSWERS, '"input":[{"id":"a","type":"item_reference","type":"message"}]', "input.type"),
        (ANSWERS, '"tools":[{"vector_store_ids":["v"],"vector_store_ids":null}]',
         "tools.vector_store_ids"),
        (ANSWERS, '"tools":[{"container":{"type":"auto","file_ids":["f"],"file_ids":[]}}]',
         "tools.file_ids"),
    ],
)  # fmt: skip
def test_a_judged_name_stands_once(path, text, param, space):
    """Which of two a server takes is its own affair, so neither is sent."""
    found = sent(path, f'{{{space}"model":"m",{text.replace(",", "," + space)}}}')
    assert isinstance(found, BadRequest)
    assert (found.code, found.param) == ("invalid_parameter_name", param)
    assert "twice" in found.message


ARGUMENTS = {"URL": FILE, "Type": "x", "ID": 5, "Content": [{"IMAGE_URL": FILE}]}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (TALK, {"messages": user({"type": "tool_use", "id": "t", "input": ARGUMENTS})}),
        (TALK, {"messages": [], "metadata": {"User": "u"}}),
        (TALK, {"messages": [], "container": {"skills": [{"type": "anthropic"}]}}),
        (CHAT, {"messages": [{"role": "user", "content": json.dumps(ARGUMENTS)}]}),
        (CHAT, {"messages": user({"type": "text", "text": "some_URL", "Note": "x"})}),
        (CHAT, {"messages": [], "stream": True, "stream_options": {"New": 1}}),
        (ANSWERS, {"input": [{"type": "function_call", "arguments": json.dumps(ARGUMENTS)}]}),
        (ANSWERS, {"tools": [{"type": "function", "name": "f", "parameters": ARGUMENTS}]}),
        (ANSWERS, {"input": [{"type": "web_search_call", "action": ARGUMENTS}]}),
    ],
)
def test_names_of_somebody_else_pass(path, fields):
    """Arguments and schemas of tools are the client's own, and unknown names a provider's."""
    assert isinstance(parsed(path, **fields), Ask)
    assert isinstance(sent(path, json.dumps({"model": "m", "max_tokens": 9, **fields})), Ask)


def test_twice_what_is_not_judged_passes():
    """Byte for byte, as it came."""
    text = '{"model":"m","messages":[{"role":"user","content":"a_b","x":1,"x":2}]}'
    ask = sent(CHAT, text)
    assert bytes(ask.fields["messages"]) in text.encode()


@pytest.mark.parametrize(
    "raw", [b'[{"a":1}]', b'[ {"a" : 1.50, "b":"\\u0041"} ]', b'[{"a":%s }]' % (b"9" * 18)]
)
def test_nothing_is_doubled_where_no_name_is(raw):
    """However it is written: spaces, escapes, numbers of any length."""
    assert type(read_value(Raw(raw))[0]) is dict


@pytest.mark.parametrize("bound", ["1e999", "9" * 5000])
def test_a_schema_may_hold_any_number(bound):
    """Beside it, tools are judged as ever."""
    text = '{"input":"x","tools":[{"type":"x","parameters":{"maximum":%s},"%s":["v"]}]}'
    assert isinstance(sent(ANSWERS, text % (bound, "x")), Ask)
    for name, code in (
        ("vector_store_ids", "unsupported_parameter"),
        ("Vector_store_ids", "invalid_parameter_name"),
    ):
        assert sent(ANSWERS, text % (bound, name)).code == code


def test_a_container_with_any_number_is_refused():
    """What cannot be read cannot be known to name nothing."""
    text = '{"model":"m","max_tokens":1,"messages":[],"container":{"x":1e999}}'
    assert sent(TALK, text).code == "unsupported_parameter"


def test_doubles_are_found_at_any_depth():
    """Each object says which of its names stood twice; the last value counts."""
    value = read_value(Raw(b'[{"a":{"b":1,"c":2,"b":3,"c":4},"d":5}]'))
    inner = value[0]["a"]
    assert isinstance(inner, Doubled)
    assert (inner, inner.names) == ({"b": 3, "c": 4}, {"b", "c"})
    assert type(value[0]) is dict


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        (CHAT, {"messages": user({"type": "file", "file": {"file_id": "file-1"}})},
         "unsupported_parameter"),
        (ANSWERS, {"tools": [{"type": "x", "input_image_mask": {"file_id": "f"}}]},
         "unsupported_parameter"),
        (ANSWERS, {"tools": [{"type": "x", "input_image_mask": {"image_url": FILE}}]},
         "unsupported_url_scheme"),
        (RERANK, {"query": "q", "documents": [{"type": "image_url", "image_url": {"url": FILE}}]},
         "unsupported_url_scheme"),
        (EMBEDDINGS, {"input": user(link())}, "unsupported_url_scheme"),
        (EMBEDDINGS, {"input": "x", "messages": user(link())}, "unsupported_url_scheme"),
    ],
)  # fmt: skip
def test_what_was_judged_nowhere(path, fields, code):
    """Files of the provider's account in Chat Completions, masks of pictures, documents that are
    parts themselves, and chats that are embedded (vLLM's servers take `messages` there)."""
    found = parsed(path, **fields)
    assert isinstance(found, BadRequest)
    assert found.code == code


@pytest.mark.parametrize("name", ["Model", "API_BASE", "uSer"])
def test_a_form_s_names_have_one_spelling_too(name):
    """Some servers bind forms without regard to case."""
    file = b'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\nx'
    body = written(b"b", [text_part("model", "m"), text_part(name, "x"), file])
    found = ENDPOINTS[b"/v1/audio/transcriptions"].parse(body)
    assert isinstance(found, BadRequest)
    assert (found.code, found.param) == ("invalid_parameter_name", name)
