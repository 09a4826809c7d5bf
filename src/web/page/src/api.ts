// Talks to the program: questions, orders, and the events that it sends. It draws nothing.

import type { Refused, State } from "./types";

export class RefusedError extends Error {
  constructor(readonly refused: Refused) {
    super(refused.error);
  }
}

async function answer<T>(response: Response): Promise<T> {
  const body = (await response.json().catch(() => ({ error: `status ${response.status}` }))) as T | Refused;
  if (response.ok) return body as T;
  const { error, hint, field } = body as Partial<Refused>;
  throw new RefusedError({ error: error ?? `status ${response.status}`, hint: hint ?? null, field: field ?? null });
}

export const ask = async <T>(path: string): Promise<T> => answer<T>(await fetch(path));

export const tell = async <T>(path: string, body: unknown): Promise<T> =>
  answer<T>(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));

/** What went wrong, for people. */
export function words(error: unknown): string {
  if (!(error instanceof RefusedError)) return "the program cannot be reached";
  const { error: what, hint } = error.refused;
  return hint ? `${what}: ${hint}` : what;
}

const LONGEST_WAIT = 30_000;

/** Follows the run for as long as the page is open. Every connection begins with everything; waits grow from 1 to 30 s. */
export function follow(hear: (state: State) => void, isThere: (there: boolean) => void): void {
  let wait = 1_000;
  const open = () => {
    const source = new EventSource("api/events");
    source.addEventListener("state", (event) => {
      wait = 1_000;
      isThere(true);
      hear(JSON.parse((event as MessageEvent<string>).data) as State);
    });
    source.addEventListener("error", () => {
      source.close();
      isThere(false);
      setTimeout(open, wait * (0.75 + Math.random() / 2));
      wait = Math.min(2 * wait, LONGEST_WAIT);
    });
  };
  open();
}
