// openai, the library for JavaScript: Chat Completions, Responses, and an unknown key.
import OpenAI from "openai";
import {
  ASK, ASK_TOOL, BASE_URL, DESCRIPTION, KEY, MODEL, SCHEMA, STRANGER, TOOL,
  assert, called, check, refused, streamed,
} from "./reporting.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0 });
const asks = (content) => ({ model: MODEL, messages: [{ role: "user", content }], max_tokens: 100 });
const described = { name: TOOL, description: DESCRIPTION, parameters: SCHEMA };
const tools = [{ type: "function", function: described }];

await check("openai", "chat", "streamed", async () => {
  const stream_options = { include_usage: true };
  const pieces = [];
  let usage;
  for await (const chunk of await client.chat.completions.create({ ...asks(ASK), stream: true, stream_options })) {
    pieces.push(chunk.choices[0]?.delta.content);
    usage = chunk.usage ?? usage;
  }
  assert(usage.completion_tokens > 0, "no usage");
  return streamed(pieces);
});

await check("openai", "chat", "tool call", async () => {
  const answer = await client.chat.completions.create({ ...asks(ASK_TOOL), tools, tool_choice: "required" });
  const [call] = answer.choices[0].message.tool_calls;
  return called(call.function.name, call.function.arguments);
});

await check("openai", "chat", "tool call, streamed", async () => {
  const stream = client.chat.completions.stream({ ...asks(ASK_TOOL), tools, tool_choice: "required" });
  const [call] = (await stream.finalChatCompletion()).choices[0].message.tool_calls;
  return called(call.function.name, call.function.arguments);
});

await check("openai", "responses", "streamed", async () => {
  const stream = client.responses.stream({ model: MODEL, input: ASK, max_output_tokens: 60, store: false });
  const pieces = [];
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") pieces.push(event.delta);
  }
  assert((await stream.finalResponse()).output_text === pieces.join(""), "the end differs from its pieces");
  return streamed(pieces);
});

await check("openai", "responses", "tool call", async () => {
  const answer = await client.responses.create({
    model: MODEL, input: ASK_TOOL, tool_choice: "required", max_output_tokens: 100, store: false,
    tools: [{ type: "function", ...described, strict: false }],
  });
  const call = answer.output.find((item) => item.type === "function_call");
  return called(call?.name, call?.arguments);
});

await check("openai", "models", "listed", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert(names.includes(MODEL), names.join());
  return "found";
});

if (STRANGER) {
  await check("openai", "chat", "unknown key refused", () =>
    refused(
      () => client.withOptions({ apiKey: STRANGER }).chat.completions.create(asks(ASK)),
      OpenAI.AuthenticationError,
    ));
}
