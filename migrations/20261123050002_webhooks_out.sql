-- Webhooks that a team has us call when something happens: where to, and each call with what came of it.

create table webhook_endpoints (
    id uuid not null constraint webhook_endpoints_pkey primary key,
    team_id uuid not null constraint webhook_endpoints_team_fkey references teams (id),
    url text not null,
    description text not null default '',
    -- Names of events; `*` stands for all.
    event_types text[] not null,
    state text not null constraint webhook_endpoints_state_check check (state in ('enabled', 'disabled')),
    state_reason text,
    -- Signing secrets, sealed; the previous one signs too until then.
    secret bytea not null,
    previous_secret bytea,
    previous_until timestamptz,
    -- Since when no call was taken; null: the last one was.
    failing_since timestamptz,
    created_by uuid constraint webhook_endpoints_created_by_fkey references users (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint webhook_endpoints_previous_both check ((previous_secret is null) = (previous_until is null))
);
-- Asked with every change that could be told: whether anybody listens.
create index webhook_endpoints_enabled_idx on webhook_endpoints (team_id) where state = 'enabled';
create index webhook_endpoints_team_idx on webhook_endpoints (team_id, created_at, id);

create table webhook_deliveries (
    id uuid not null constraint webhook_deliveries_pkey primary key,
    team_id uuid not null constraint webhook_deliveries_team_fkey references teams (id),
    endpoint_id uuid not null constraint webhook_deliveries_endpoint_fkey references webhook_endpoints (id) on delete cascade,
    -- The same for all endpoints that are told it, and for a replay.
    event_id uuid not null,
    event_type text not null,
    -- Byte for byte as it is signed and sent: ids and our own words.
    body text not null,
    state text not null constraint webhook_deliveries_state_check check (state in ('pending', 'delivered', 'failed')),
    attempts integer not null default 0,
    next_attempt_at timestamptz,
    last_attempt_at timestamptz,
    last_status integer,
    last_duration_ms integer,
    last_error text,
    -- The first KiB of what the receiver said.
    last_answer text,
    replay_of uuid,
    created_at timestamptz not null,
    finished_at timestamptz,
    constraint webhook_deliveries_pending_is_due check ((state = 'pending') = (next_attempt_at is not null))
);
create index webhook_deliveries_log_idx on webhook_deliveries (endpoint_id, created_at desc, id desc);
create index webhook_deliveries_due_idx on webhook_deliveries (endpoint_id, next_attempt_at, id) where state = 'pending';
create index webhook_deliveries_late_idx on webhook_deliveries (next_attempt_at) where state = 'pending';
create index webhook_deliveries_age_idx on webhook_deliveries (created_at);
