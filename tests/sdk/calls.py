"""Makes calls with the official Python SDKs and tells, as JSON, what the SDKs made of the answers."""

import json
import sys

import anthropic
import openai


def told(error):
    """What a program would see of an SDK's typed error."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    inner = inner if isinstance(inner, dict) else {}
    return {
        "error": {
            "class": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "code": getattr(error, "code", None) or inner.get("code"),
            "type": getattr(error, "type", None) or inner.get("type"),
            "message": inner.get("message") or str(error),
        }
    }


def with_openai(base_url, call):
    client = openai.OpenAI(
        base_url=base_url + "/v1",
        api_key=call["key"],
        max_retries=0,
        default_headers={"x-client-request-id": call["id"]},
    )
    arguments = {"model": call["model"], "messages": [{"role": "user", "content": call["text"]}]}
    if not call["stream"]:
        answer = client.chat.completions.create(**arguments)
        return {"text": answer.choices[0].message.content, "usage": answer.usage.model_dump()}
    if call.get("include_usage"):
        arguments["stream_options"] = {"include_usage": True}
    text, events, empty, usage = "", 0, 0, None
    for chunk in client.chat.completions.create(stream=True, **arguments):
        events += 1
        if chunk.usage is not None:
            usage = chunk.usage.model_dump()
        if not chunk.choices:
            empty += 1
            continue
        text += chunk.choices[0].delta.content or ""
    return {"text": text, "usage": usage, "events": events, "empty_choices": empty}


def with_anthropic(base_url, call):
    client = anthropic.Anthropic(
        base_url=base_url,
        api_key=call["key"],
        max_retries=0,
        default_headers={"x-client-request-id": call["id"]},
    )
    arguments = {
        "model": call["model"],
        "max_tokens": 256,
        "messages": [{"role": "user", "content": call["text"]}],
    }
    if not call["stream"]:
        answer = client.messages.create(**arguments)
        return {"text": answer.content[0].text, "usage": answer.usage.model_dump()}
    text = ""
    with client.messages.stream(**arguments) as stream:
        for piece in stream.text_stream:
            text += piece
        answer = stream.get_final_message()
    return {"text": text, "usage": answer.usage.model_dump()}


def main():
    task = json.load(sys.stdin)
    results = []
    for call in task["calls"]:
        sdk = with_openai if call["sdk"] == "openai" else with_anthropic
        try:
            results.append(sdk(task["base_url"], call))
        except (openai.OpenAIError, anthropic.AnthropicError) as error:
            results.append(told(error))
    json.dump(results, sys.stdout)


main()
