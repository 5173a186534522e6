// Codex CLI: one turn with one command, over Responses, with a custom provider. Its usual prompt and
// tools are cut to what a small model can read; the sandbox lets the command read only.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { BASE_URL, MODEL, assert, check } from "./reporting.mjs";

// Not below the system's folder for temporary files: Codex wants none of it as its home.
const cache = process.env.CONFORMANCE_SCRATCH ?? homedir();
mkdirSync(cache, { recursive: true });
const home = mkdtempSync(join(cache, "codex-"));
const work = join(home, "work");
mkdirSync(work);
writeFileSync(join(work, "hello.txt"), "hello\n");
const prompt = join(home, "prompt.md");
writeFileSync(prompt, "You are a helpful assistant.\n");
writeFileSync(join(home, "config.toml"), `
model = ${JSON.stringify(MODEL)}
model_provider = "gateway"
model_context_window = 8000
model_instructions_file = ${JSON.stringify(prompt)}
web_search = "disabled"
include_permissions_instructions = false
include_environment_context = false
[features]
multi_agent = false
goals = false
[model_providers.gateway]
name = "gateway"
base_url = ${JSON.stringify(BASE_URL)}
env_key = "CONFORMANCE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`);

await check("@openai/codex", "responses", "tool call and its result", async () => {
  const done = spawnSync(
    resolve("node_modules/.bin/codex"),
    ["exec", "--json", "--skip-git-repo-check", "-s", "read-only", "List the files with ls."],
    { cwd: work, input: "", timeout: 240_000, encoding: "utf8", env: { ...process.env, CODEX_HOME: home } },
  );
  const events = done.stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const failure = events.find(({ type }) => type === "turn.failed" || type === "error");
  assert(!failure, failure?.error?.message ?? failure?.message);
  const items = events.filter(({ type }) => type === "item.completed").map(({ item }) => item);
  const command = items.find(({ type }) => type === "command_execution");
  assert(command, `no command; exit code ${done.status}, signal ${done.signal}`);
  assert(items.some(({ type, text }) => type === "agent_message" && text), "no answer after it");
  assert(events.at(-1)?.usage?.output_tokens > 0, "no usage");
  return `${command.command}: ${command.exit_code}`;
});
rmSync(home, { recursive: true, force: true });
