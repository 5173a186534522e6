// Vercel's AI SDK with each of its three providers that a gateway like this is used with.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import {
  ASK, ASK_TOOL, BASE_URL, DESCRIPTION, KEY, MODEL, SCHEMA, TOOL,
  assert, called, check, streamed,
} from "./reporting.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const given = { baseURL: BASE_URL, apiKey: KEY };
const openai = createOpenAI(given);
const models = [
  ["@ai-sdk/openai", "chat", openai.chat(MODEL)],
  ["@ai-sdk/openai", "responses", openai.responses(MODEL)],
  ["@ai-sdk/openai-compatible", "chat", createOpenAICompatible({ name: "gateway", includeUsage: true, ...given })(MODEL)],
  ["@ai-sdk/anthropic", "messages", createAnthropic(given)(MODEL)],
];

for (const [name, api, model] of models) {
  const settings = { model, maxOutputTokens: 100, maxRetries: 0 };

  await check(name, api, "streamed", async () => {
    const pieces = [];
    let failure;
    const { textStream, usage } = streamText({
      ...settings, prompt: ASK, onError: ({ error }) => { failure = error; },
    });
    for await (const piece of textStream) pieces.push(piece);
    if (failure) throw failure;
    assert((await usage).outputTokens > 0, "no usage");
    return streamed(pieces);
  });

  await check(name, api, "tool call and its result", async () => {
    const seen = [];
    const execute = async (input) => {
      seen.push(input);
      return `Sunny in ${input.city}`;
    };
    const tools = { [TOOL]: tool({ description: DESCRIPTION, inputSchema: jsonSchema(SCHEMA), execute }) };
    const answer = await generateText({
      ...settings, tools, prompt: ASK_TOOL, stopWhen: stepCountIs(2),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber ? "none" : "required" }),
    });
    assert(answer.text.trim(), "no text after the result");
    return called(TOOL, seen[0]);
  });
}
