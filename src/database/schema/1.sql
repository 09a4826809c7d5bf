-- Version 1. Times whose names end in _s are seconds: of the run where they are moments, spans otherwise. An unknown is NULL.
-- batches is the ledger: a batch of rows and its line here are written in one transaction, so that none is written twice.
CREATE TABLE batches (
  run text NOT NULL,
  source text NOT NULL,
  incarnation text NOT NULL,
  seq bigint NOT NULL,
  rows integer NOT NULL,
  loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run, source, incarnation, seq)
);

CREATE TABLE runs (
  run text NOT NULL,
  command text,
  plan_sha256 text,
  version text,
  provider text,
  model text,
  path text,
  target text,
  cluster boolean,
  started_at timestamptz,
  ended_at timestamptz,
  verdict text,
  failure text,
  run_s double precision,
  scheduled bigint,
  sent bigint,
  dropped bigint,
  late_cancelled bigint,
  lost bigint,
  completed bigint,
  failed bigint,
  cancelled bigint,
  measured_requests bigint,
  measured_good bigint,
  measured_from_s double precision,
  measured_to_s double precision,
  requests_per_s double precision,
  output_tokens_per_s double precision,
  fail_ratio double precision,
  output_tokens bigint,
  prompt_tokens bigint,
  ttft_p50_s double precision,
  ttft_p95_s double precision,
  ttft_p99_s double precision,
  tpot_p50_s double precision,
  tpot_p95_s double precision,
  tpot_p99_s double precision,
  latency_p50_s double precision,
  latency_p95_s double precision,
  latency_p99_s double precision,
  PRIMARY KEY (run)
);

CREATE TABLE seconds (
  run text NOT NULL,
  at timestamptz NOT NULL,
  second bigint NOT NULL,
  from_s double precision NOT NULL,
  to_s double precision NOT NULL,
  users bigint,
  in_flight bigint,
  waiting bigint,
  asked_per_s double precision,
  scheduled bigint,
  sent bigint,
  dropped bigint,
  late_cancelled bigint,
  lost bigint,
  ok bigint,
  truncated bigint,
  http_4xx bigint,
  http_429 bigint,
  http_5xx bigint,
  connect bigint,
  dns bigint,
  tls bigint,
  timeout_connect bigint,
  timeout_first_token bigint,
  timeout_idle bigint,
  timeout_total bigint,
  cut bigint,
  in_stream_error bigint,
  parse_error bigint,
  empty bigint,
  cancelled bigint,
  good bigint,
  failed bigint,
  measured_good bigint,
  measured_failed bigint,
  good_per_s double precision,
  failed_per_s double precision,
  output_tokens bigint,
  prompt_tokens bigint,
  output_tokens_per_s double precision,
  ttft_p50_s double precision,
  ttft_p95_s double precision,
  ttft_p99_s double precision,
  tpot_p50_s double precision,
  tpot_p95_s double precision,
  tpot_p99_s double precision,
  latency_p50_s double precision,
  latency_p95_s double precision,
  latency_p99_s double precision,
  send_delay_p99_s double precision,
  receive_lag_p99_s double precision,
  busiest_core double precision,
  kernel_stamped double precision,
  verdict text
);

CREATE TABLE errors (
  run text NOT NULL,
  outcome text NOT NULL,
  words text NOT NULL,
  count bigint NOT NULL,
  first_s double precision,
  last_s double precision,
  PRIMARY KEY (run, outcome, words)
);

CREATE TABLE workers (
  run text NOT NULL,
  worker integer NOT NULL,
  name text,
  version text,
  cores integer,
  state text,
  sent bigint,
  finished bigint,
  lost bigint,
  PRIMARY KEY (run, worker)
);

CREATE TABLE requests (
  run text NOT NULL,
  worker integer NOT NULL,
  incarnation text NOT NULL,
  n bigint NOT NULL,
  at timestamptz NOT NULL,
  request text NOT NULL,
  outcome text NOT NULL,
  status integer,
  error text,
  due_s double precision,
  sent_s double precision,
  headers_s double precision,
  first_s double precision,
  last_s double precision,
  end_s double precision,
  ttft_s double precision,
  tpot_s double precision,
  latency_s double precision,
  prompt_tokens bigint,
  output_tokens bigint,
  max_tokens bigint,
  cached_tokens bigint,
  output_chars bigint,
  body_bytes bigint,
  new_connection boolean,
  session bigint,
  turn integer
);

CREATE INDEX seconds_run ON seconds (run, at);
CREATE INDEX seconds_at ON seconds (at);
CREATE INDEX requests_run ON requests (run, at);
CREATE INDEX requests_at ON requests (at);

-- With TimescaleDB the two long tables are hypertables.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    PERFORM create_hypertable(format('%I.seconds', current_schema())::regclass, 'at', create_default_indexes => false);
    PERFORM create_hypertable(format('%I.requests', current_schema())::regclass, 'at', create_default_indexes => false);
  END IF;
END
$$;
