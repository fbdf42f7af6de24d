// Requests to the service, with the key that the reader gave; the key is kept in this page's memory alone.

import { at, plain, show } from "./elements.js";

export const session = { key: "", locked: new Set() };

/** An answer that is no success: its status, a sentence for people, and how long to wait. */
export class Refusal extends Error {
  constructor(status, detail, retryAfter = 0) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  get wantsKey() {
    return this.status === 401 || this.status === 403;
  }
}

export async function ask(path, accept = "application/json", alsoFine = 0) {
  const headers = { Accept: accept };
  if (session.key) headers["X-API-Key"] = session.key;
  let answer;
  try {
    // a redirect could carry the key to another host
    answer = await fetch(path, { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(10000) });
  } catch (error) {
    throw new Refusal(
      0,
      error.name === "TimeoutError" ? "The service did not answer in 10 s." : "The service does not answer.",
    );
  }
  if (!answer.ok && answer.status !== alsoFine) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  let told = {};
  try {
    told = await answer.json();
  } catch {
    /* a proxy's page, not a problem document of ours */
  }
  const detail = [told.title ?? `The service answered ${answer.status}`, told.detail]
    .filter(Boolean)
    .map(plain)
    .join(": ");
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  return new Refusal(answer.status, wait ? `${detail}. Try again in ${wait} s.` : detail, wait);
}

export const askJson = async (path, alsoFine) => (await ask(path, "application/json", alsoFine)).json();

/** Open the field for a key, and ask for `what` again only when one is given. */
export function askForKey(error, what = "") {
  if (what) session.locked.add(what);
  at("key").open = true;
  show("key-note", session.key ? `The key was not accepted: ${error.message}` : "This service asks for an API key.");
}
