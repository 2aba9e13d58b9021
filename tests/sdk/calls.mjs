// Makes calls with the official TypeScript SDKs and tells, as JSON, what the SDKs made of the answers.

import { text as readAll } from "node:stream/consumers";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

/** What a program would see of an SDK's typed error. */
function told(error) {
  const body = error.error ?? {};
  const inner = body.error ?? body;
  return {
    error: {
      class: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? inner.code ?? null,
      type: error.type ?? inner.type ?? null,
      message: inner.message ?? error.message,
    },
  };
}

async function withOpenAi(baseUrl, call) {
  const client = new OpenAI({
    baseURL: `${baseUrl}/v1`,
    apiKey: call.key,
    maxRetries: 0,
    defaultHeaders: { "x-client-request-id": call.id },
  });
  const body = { model: call.model, messages: [{ role: "user", content: call.text }] };
  if (!call.stream) {
    const answer = await client.chat.completions.create(body);
    return { text: answer.choices[0].message.content, usage: answer.usage };
  }
  if (call.include_usage) body.stream_options = { include_usage: true };
  const result = { text: "", usage: null, events: 0, empty_choices: 0 };
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    result.events += 1;
    if (chunk.usage) result.usage = chunk.usage;
    if (chunk.choices.length === 0) result.empty_choices += 1;
    else result.text += chunk.choices[0].delta.content ?? "";
  }
  return result;
}

async function withAnthropic(baseUrl, call) {
  const client = new Anthropic({
    baseURL: baseUrl,
    apiKey: call.key,
    maxRetries: 0,
    defaultHeaders: { "x-client-request-id": call.id },
  });
  const body = { model: call.model, max_tokens: 256, messages: [{ role: "user", content: call.text }] };
  if (!call.stream) {
    const answer = await client.messages.create(body);
    return { text: answer.content[0].text, usage: answer.usage };
  }
  const stream = client.messages.stream(body);
  let text = "";
  stream.on("text", (piece) => (text += piece));
  const answer = await stream.finalMessage();
  return { text, usage: answer.usage };
}

const task = JSON.parse(await readAll(process.stdin));
const results = [];
for (const call of task.calls) {
  const sdk = call.sdk === "openai" ? withOpenAi : withAnthropic;
  try {
    results.push(await sdk(task.base_url, call));
  } catch (error) {
    if (!(error instanceof OpenAI.OpenAIError) && !(error instanceof Anthropic.AnthropicError)) throw error;
    results.push(told(error));
  }
}
process.stdout.write(JSON.stringify(results));
