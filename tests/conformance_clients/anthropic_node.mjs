// @anthropic-ai/sdk: Messages, and an unknown key.
import Anthropic from "@anthropic-ai/sdk";
import {
  ASK, ASK_TOOL, DESCRIPTION, KEY, MODEL, ROOT_URL, SCHEMA, STRANGER, TOOL,
  assert, called, check, refused, streamed,
} from "./reporting.mjs";

const PACKAGE = "@anthropic-ai/sdk";
const client = new Anthropic({ baseURL: ROOT_URL, apiKey: KEY, maxRetries: 0 });
const asks = (content) => ({ model: MODEL, messages: [{ role: "user", content }], max_tokens: 100 });
const tools = [{ name: TOOL, description: DESCRIPTION, input_schema: SCHEMA }];
const tool_choice = { type: "any" };

await check(PACKAGE, "messages", "streamed", async () => {
  const pieces = [];
  const stream = client.messages.stream(asks(ASK)).on("text", (text) => pieces.push(text));
  assert((await stream.finalMessage()).usage.output_tokens > 0, "no usage");
  return streamed(pieces);
});

const callOf = (message) => {
  const block = message.content.find(({ type }) => type === "tool_use");
  return called(block?.name, block?.input);
};

await check(PACKAGE, "messages", "tool call", async () =>
  callOf(await client.messages.create({ ...asks(ASK_TOOL), tools, tool_choice })));

await check(PACKAGE, "messages", "tool call, streamed", async () =>
  callOf(await client.messages.stream({ ...asks(ASK_TOOL), tools, tool_choice }).finalMessage()));

await check(PACKAGE, "models", "listed", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert(names.includes(MODEL), names.join());
  return "found";
});

if (STRANGER) {
  await check(PACKAGE, "messages", "unknown key refused", () =>
    refused(
      () => client.withOptions({ apiKey: STRANGER }).messages.create(asks(ASK)),
      Anthropic.AuthenticationError,
    ));
}
