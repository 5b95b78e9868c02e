// What a frontend on another origin does with a generated client. It is compiled, not run.
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/api";

type Suggestion = components["schemas"]["SuggestionCard"];
type Problem = components["schemas"]["Problem"];

const base = "https://replies.example.com";

function client(token: string) {
  return createClient<paths>({ baseUrl: base, headers: { authorization: `Bearer ${token}` } });
}

/** Told to a person, with the fields that are wrong. */
function told(problem: Problem): string {
  const fields = (problem.errors ?? []).map(({ field, message }) => `${field}: ${message}`);
  return [problem.title, problem.detail, ...fields].join("\n");
}

/** Every pending suggestion of a team, page by page. */
export async function pending(token: string, teamId: string): Promise<Suggestion[]> {
  const api = client(token);
  const all: Suggestion[] = [];
  let cursor: string | null | undefined;
  do {
    const { data, error } = await api.GET("/api/teams/{team_id}/suggestions", {
      params: { path: { team_id: teamId }, query: { status: "pending", limit: 100, ...(cursor ? { cursor } : {}) } },
    });
    if (error) throw new Error(told(error));
    all.push(...data.items);
    cursor = data.next_cursor;
  } while (cursor);
  return all;
}

/** Approves once, however often it is called with the same key. */
export async function approve(token: string, suggestion: Suggestion, key: string): Promise<string> {
  const { data, error, response } = await client(token).POST("/api/suggestions/{id}/approve", {
    params: { path: { id: suggestion.id }, header: { "Idempotency-Key": key } },
    body: { version: suggestion.version, auto_post: true },
  });
  if (error) throw new Error(`${response.status} ${told(error)}`);
  return data.status;
}

/** Changes the daily cap only while nobody else changed the settings. */
export async function cap(token: string, teamId: string, daily: number): Promise<number | null> {
  const api = client(token);
  const params = { path: { team_id: teamId } };
  const seen = await api.GET("/api/teams/{team_id}/settings", { params });
  const etag = seen.response.headers.get("etag") ?? "*";
  const { data, error } = await api.PATCH("/api/teams/{team_id}/settings", {
    params: { ...params, header: { "If-Match": etag } },
    body: { daily_cap: daily },
  });
  if (error) throw new Error(told(error));
  return data.daily_cap ?? null;
}

/** An EventSource sends no header: it shows a ticket. */
export async function listen(token: string, teamId: string, changed: (kind: string, id: string) => void): Promise<EventSource> {
  const { data, error } = await client(token).POST("/api/teams/{team_id}/events/ticket", {
    params: { path: { team_id: teamId } },
  });
  if (error) throw new Error(told(error));
  const source = new EventSource(`${base}/api/teams/${teamId}/events?ticket=${encodeURIComponent(data.ticket)}`);
  source.addEventListener("change", (event) => {
    const { kind, id } = JSON.parse((event as MessageEvent<string>).data) as { kind: string; id: string };
    changed(kind, id);
  });
  return source;
}

/** A token for a program, made by a person. */
export async function makeToken(session: ReturnType<typeof client>, teamId: string): Promise<string> {
  const { data, error } = await session.POST("/api/tokens", {
    params: { query: { team_id: teamId } },
    body: { name: "Nightly report", role: "viewer" },
  });
  if (error) throw new Error(told(error));
  const made: components["schemas"]["NewTokenAnswer"] = data;
  return made.token;
}

// @ts-expect-error: a status that there is not
const wrong: Suggestion["status"] = "sent";
void wrong;
