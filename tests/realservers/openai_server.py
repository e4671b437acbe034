"""A server that speaks as OpenAI's does: chats, plain and streamed, tool calls, and embeddings."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.servers import Background, Hosted

Says = Callable[[str], str]


class OpenAIServer(Hosted):
    """`says` makes the answer to a chat's last message. `embeds` makes the vector of a text."""

    def __init__(
        self, background: Background, says: Says, embeds: Callable[[str], list[float]] = lambda text: []
    ) -> None:
        self.says = says
        self.embeds = embeds
        self.breaks_off = False
        self._count = 0
        app = Starlette(
            routes=[
                Route("/{model}/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/{model}/v1/embeddings", self._embeddings, methods=["POST"]),
            ]
        )
        config = partial(uvicorn.Config, app, log_config=None, access_log=False, lifespan="off", ws="none")
        super().__init__(background, lambda: uvicorn.Server(config()))

    async def _chat(self, request: Request) -> Response:
        asked = await request.json()
        text = self.says(asked["messages"][-1]["content"])
        self._count += 1  # ids and times differ from call to call, as they do anywhere
        head = {"id": f"chatcmpl-{id(self)}-{self._count}", "created": 1_790_000_000 + self._count, "model": "m"}
        if asked.get("stream"):
            return StreamingResponse(self._events(head, text), media_type="text/event-stream")
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if "tools" in asked:
            call = {"name": asked["tools"][0]["function"]["name"], "arguments": json.dumps({"city": text})}
            tool_call = {"id": f"call-{self._count}", "type": "function", "function": call}
            message = {"role": "assistant", "content": None, "tool_calls": [tool_call]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice]})

    async def _events(self, head: dict[str, Any], text: str) -> AsyncIterator[bytes]:
        def event(delta: dict[str, str], finish: str | None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return (
                b"data: "
                + json.dumps({**head, "object": "chat.completion.chunk", "choices": [choice]}).encode()
                + b"\n\n"
            )

        yield event({"role": "assistant", "content": ""}, None)
        for at, word in enumerate(text.split(" ")):
            yield event({"content": word if not at else f" {word}"}, None)
        if not self.breaks_off:
            yield event({}, "stop")
            yield b"data: [DONE]\n\n"

    async def _embeddings(self, request: Request) -> Response:
        asked = await request.json()
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        data = [
            {"object": "embedding", "index": index, "embedding": self._written(self.embeds(text), asked)}
            for index, text in enumerate(texts)
        ]
        return JSONResponse(
            {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        )

    def _written(self, vector: list[float], asked: dict[str, Any]) -> object:
        if asked.get("encoding_format") != "base64":
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
