"""Chats and embeddings through the proxy, driven by OpenAI's own client: it gets what the champion said, and the two
servers are compared by what they say."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

from proxy.disagreements import Disagreement
from proxy.snapshot import AgreementSpec, ModelRoute, ShadowPolicy
from proxy.window import Window
from tests.realservers.openai_server import OpenAIServer
from tests.servers import Background, eventually
from tests.workers import Fleet, target

TEXT = AgreementSpec(kind="text", min_overlap=0.8)
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Where does the water go?"}]
SAID = "The water goes through the penstock down to the turbine and out into the river again."
OTHER = "I cannot help with that."
TOOL: ChatCompletionToolUnionParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


class Chat:
    """Two servers behind the proxy, and OpenAI's client in front of it. Each comparison is a model of its own."""

    names = count()

    def __init__(self, fleet: Fleet, champion: OpenAIServer, candidate: OpenAIServer) -> None:
        self._fleet = fleet
        self.champion, self.candidate = champion, candidate
        self.name = ""

    def compared(self, ask: Callable[[openai.OpenAI], object], spec: AgreementSpec) -> Window:
        """What is seen of a pair: a busy worker holds copies back, so it may have to be asked more than once."""
        self.name = f"chat-{next(self.names)}"
        servers = (target("1", self.champion), target("2", self.candidate))
        patient = ShadowPolicy(timeout=60.0)
        route = ModelRoute(
            self.name, f"/{self.name}", *servers, salt=self.name, agreement=spec, timeout=60.0, shadow=patient
        )
        self._fleet.deploy(route)
        base = f"http://127.0.0.1:{self._fleet.port}/{self.name}/v1"
        client = openai.OpenAI(base_url=base, api_key="secret-key", max_retries=0)

        def looked_at() -> Window | None:
            ask(client)
            time.sleep(0.3)
            window = self._fleet.control.window(self.name)
            return window if window.agreement.compared or window.candidate_shadow.errors else None

        return eventually(looked_at)

    def finding(self, ask: Callable[[openai.OpenAI], object], spec: AgreementSpec) -> str:
        """The one finding of a comparison, "" where the two agree."""
        agreement = self.compared(ask, spec).agreement
        (finding,) = agreement.findings or {"": 0}
        assert agreement.disagreed == (agreement.compared if finding else 0)
        return finding

    def record(self) -> Disagreement:
        """What was put on record in the last comparison."""
        return eventually(
            lambda: next(
                (
                    pair
                    for push in list(self._fleet.control.pushes)
                    for pair in push.disagreements
                    if pair.model == self.name
                ),
                None,
            )
        )


@pytest.fixture
def chat(fleet: Fleet, background: Background) -> Iterator[Chat]:
    with (
        OpenAIServer(background, lambda asked: SAID) as champion,
        OpenAIServer(background, lambda asked: SAID) as other,
    ):
        yield Chat(fleet, champion, other)


Ask = Callable[[openai.OpenAI], str]


def streamed(client: openai.OpenAI) -> str:
    chunks = client.chat.completions.create(model="m", messages=ASKED, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def plain(client: openai.OpenAI) -> str:
    return client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content or ""


def heard(said: str) -> None:
    """The client gets what the champion said, whoever else was asked."""
    assert said == SAID


@pytest.mark.parametrize("ask", [plain, streamed])
def test_two_that_say_the_same_agree_whatever_their_ids_and_times(chat: Chat, ask: Ask) -> None:
    assert chat.finding(lambda client: heard(ask(client)), TEXT) == ""


@pytest.mark.parametrize("ask", [plain, streamed])
def test_texts_differ_by_the_words_that_they_do_not_share(chat: Chat, ask: Ask) -> None:
    chat.candidate.says = lambda asked: SAID.replace("again", "below")  # 16 of 17 words and marks: F1 = 2 * 16 / 34
    assert chat.finding(lambda client: heard(ask(client)), TEXT) == ""
    chat.candidate.says = lambda asked: OTHER
    assert chat.finding(lambda client: heard(ask(client)), TEXT) == "text"
    record = chat.record()
    assert (SAID in record.champion.body, OTHER in record.candidate.body) == (True, True)
    assert record.headers["authorization"] == "[redacted]"


def test_a_stream_that_breaks_off_is_the_candidates_failure(chat: Chat) -> None:
    chat.candidate.breaks_off = True
    window = chat.compared(lambda client: heard(streamed(client)), TEXT)
    assert list(window.candidate_shadow.errors) == ["truncated_stream"]


def test_tool_calls_are_compared_by_name_and_arguments(chat: Chat) -> None:
    def ask(client: openai.OpenAI) -> None:
        answer = client.chat.completions.create(model="m", messages=ASKED, tools=[TOOL])
        (call, *_) = answer.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert "Oslo" in call.function.arguments

    chat.champion.says = chat.candidate.says = lambda asked: "Oslo"
    assert chat.finding(ask, TEXT) == ""
    chat.candidate.says = lambda asked: "Rome"
    assert chat.finding(ask, TEXT) == "tool_calls"


def around(text: str, angle: float = 0.0) -> list[float]:
    """Texts on a circle, by their length."""
    at = len(text) / 3 + angle
    return [math.cos(at), math.sin(at)]


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_are_compared_by_who_is_whose_neighbour(chat: Chat, encoding: Literal["float", "base64"]) -> None:
    texts = ["a" * length for length in range(1, 9)]
    spec = AgreementSpec(kind="embedding", top_k=2, relative=0, absolute=1e-5)

    def ask(client: openai.OpenAI) -> None:
        answer = client.embeddings.create(model="m", input=texts, encoding_format=encoding)
        if encoding == "float":
            assert answer.data[2].embedding == pytest.approx(around(texts[2]))

    chat.champion.embeds = chat.candidate.embeds = around
    assert chat.finding(ask, spec) == ""
    chat.candidate.embeds = lambda text: around(text, 1.0)  # another space, with the same neighbours in it
    assert chat.finding(ask, spec) == ""
    chat.candidate.embeds = lambda text: around("b" * (len(text) ** 5 % 97))
    assert chat.finding(ask, spec) == "neighbours"
