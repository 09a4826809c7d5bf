// What the API says; /api/openapi.json describes it.

export interface Quantiles { p50: number | null; p95: number | null; p99: number | null }
export interface Reason { level: string; name: string; words: string; remedy: string }
export interface Worker {
  worker: number; name: string; version: string; cores: number; state: string; connected: boolean; users: number;
  in_flight: number; sent: number; finished: number; lost: number; silent_s: number; clock_offset_ms: number | null;
}
export interface File { name: string; what: string }
export interface Standing {
  run: string; stage: string; command: string; model: string; host: string; provider: string; open_loop: boolean;
  can_change_rate: boolean; cluster: boolean; started_at: string | null; now_s: number; left_s: number | null;
  max_requests: number | null; asked_per_s: number | null; users: number; in_flight: number; waiting: number;
  load: { users: number; spawn_rate_per_s: number; asked_per_s: number | null; paused: boolean };
  lately: {
    requests_per_s: number; failures_per_s: number; output_tokens_per_s: number | null;
    ttft_ms: Quantiles | null; tpot_ms: Quantiles | null; latency_ms: Quantiles | null;
  };
  so_far: {
    sent: number; requests: number; failures: number; fail_ratio: number; requests_per_s: number | null;
    output_tokens_per_s: number | null; ttft_ms: Quantiles | null; latency_ms: Quantiles | null;
  };
  statistics: { columns: string[]; rows: string[][] };
  failures: { method: string; name: string; error: string; occurrences: number; first_seen: string; last_seen: string }[];
  workers: Worker[];
  changes: { from_s: number; words: string }[];
  verdict: { level: string; reasons: Reason[] } | null;
  generator: string[];
  failure: string | null;
  status: number | null;
  files: File[];
}
export interface Brief {
  run: string; stage: string; started_at: string | null; lasted_s: number; model: string; load: string; requests: number;
  failures: number; requests_per_s: number | null; ttft_p95_ms: number | null; latency_p95_ms: number | null;
  verdict: string | null; status: number | null; failure: string | null;
}
export interface Process {
  version: string; role: string; phase: string; run: string | null; runs: Brief[];
  problem: { error: string; hint: string | null } | null;
}
export type Row = (number | null)[];
export interface Steps { first: number; columns: string[]; rows: Row[]; looks: Row[] }
export interface State { process: Process; run: Standing | null; steps: Steps | null; log: { lines: string[]; seen: number } }
export interface Field {
  name: string; label: string; group: string; help: string; value: string | null; choices: string[]; flag: boolean; secret: boolean;
}
export interface Refused { error: string; hint: string | null; field: string | null }
