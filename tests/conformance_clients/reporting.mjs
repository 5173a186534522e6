// What every client in JavaScript here shares: where the gateway is, what is asked, and one line of
// JSON for each check. The counterpart of reporting.py.
import { readFileSync } from "node:fs";

export const { CONFORMANCE_URL: ROOT_URL, CONFORMANCE_KEY: KEY, CONFORMANCE_MODEL: MODEL } = process.env;
// Right form and checksum, but nobody's. Empty where nobody checks keys.
export const STRANGER = process.env.CONFORMANCE_STRANGER;
export const BASE_URL = `${ROOT_URL}/v1`;
export const ASK = "Say hello in one sentence.";
export const ASK_TOOL = "What is the weather in Paris?";
export const TOOL = "get_weather";
export const DESCRIPTION = "Weather of a city";
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

/** Runs the function; its text is the evidence, its exception the failure. */
export async function check(name, api, what, run) {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  const row = { package: name, version, api, what };
  try {
    Object.assign(row, { ok: true, note: await run() });
  } catch (error) {
    Object.assign(row, { ok: false, note: `${error?.name}: ${error?.message}` });
  }
  console.log(JSON.stringify(row));
}

export function assert(so, text) {
  if (!so) throw new Error(text);
}

/** Several pieces with a text in them. */
export function streamed(pieces) {
  const given = pieces.filter(Boolean);
  assert(given.length > 1, `not in pieces: ${JSON.stringify(given)}`);
  assert(given.join("").trim(), "no text");
  return `${given.length} pieces`;
}

/** The tool, with arguments that follow its schema. */
export function called(name, given) {
  const parsed = typeof given === "string" ? JSON.parse(given) : given;
  assert(name === TOOL, `called ${name}`);
  assert(typeof parsed?.city === "string", JSON.stringify(parsed));
  return `${name}(${JSON.stringify(parsed)})`;
}

/** The library's own exception for a key that is not known. */
export async function refused(send, kind) {
  try {
    await send();
  } catch (error) {
    assert(error instanceof kind, `${error?.name}: ${error?.message}`);
    return error.constructor.name;
  }
  throw new Error("not refused");
}
