"""The endpoints of Ollama's dialect, for `registry.py`."""

from tollway.dialects import ollama_chat, ollama_embed, ollama_fields, ollama_generate
from tollway.dialects.carrier import JSON_LINES
from tollway.dialects.endpoint import Endpoint
from tollway.dialects.reply_ollama import read_chat, read_embedded, read_generated
from tollway.dialects.stream_ollama import OllamaReader

OLLAMA_ENDPOINTS = (
    Endpoint(
        name="ollama_chat",
        path=b"/api/chat",
        upstream_path="/api/chat",
        shape="ollama",
        can_stream=True,
        parse=ollama_chat.parse,
        render=ollama_chat.render,
        stream_reader=lambda _: OllamaReader(),
        read_reply=read_chat,
        is_bounded=ollama_chat.is_bounded,
        stream_type=JSON_LINES,
        left_out=ollama_fields.left_out,
    ),
    Endpoint(
        name="ollama_generate",
        path=b"/api/generate",
        upstream_path="/api/generate",
        shape="ollama",
        can_stream=True,
        parse=ollama_generate.parse,
        render=ollama_generate.render,
        stream_reader=lambda _: OllamaReader(),
        read_reply=read_generated,
        is_bounded=ollama_generate.is_bounded,
        stream_type=JSON_LINES,
        left_out=ollama_fields.left_out,
    ),
    Endpoint(
        name="ollama_embed",
        path=b"/api/embed",
        upstream_path="/api/embed",
        shape="ollama",
        can_stream=False,
        parse=ollama_embed.parse,
        render=ollama_embed.render,
        stream_reader=None,
        read_reply=read_embedded,
        writes=False,
        left_out=ollama_fields.left_out,
    ),
)
