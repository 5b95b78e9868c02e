-- Connected platform accounts. `platform` is a slug checked against the list in code, never a SQL enum.

create table integrations (
    id uuid not null constraint integrations_pkey primary key,
    team_id uuid not null constraint integrations_team_fkey references teams (id),
    platform text not null,
    platform_account_id text not null,
    display_name text not null,
    access_token bytea,
    refresh_token bytea,
    scopes text[] not null default '{}',
    expires_at timestamptz,
    meta jsonb not null default '{}',
    state text not null constraint integrations_state_check
        check (state in ('connected', 'paused', 'needs_reconnect', 'disconnected')),
    state_reason text,
    state_since timestamptz not null,
    poll_cursor jsonb not null default 'null',
    last_polled_at timestamptz,
    last_poll_problem text,
    next_poll_at timestamptz not null,
    -- Whoever refreshes the token holds this; nobody else tries before it has passed.
    token_lease_until timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
-- One live connection per platform account: two teams must never answer with the same account unknowingly.
create unique index integrations_live_account_key on integrations (platform, platform_account_id) where state <> 'disconnected';
create index integrations_team_idx on integrations (team_id, created_at);
create index integrations_due_idx on integrations (next_poll_at) where state = 'connected';
create index integrations_expiry_idx on integrations (expires_at) where state = 'connected';

create table oauth_states (
    id uuid not null constraint oauth_states_pkey primary key,
    state_hash bytea not null constraint oauth_states_state_key unique,
    team_id uuid not null constraint oauth_states_team_fkey references teams (id),
    user_id uuid not null constraint oauth_states_user_fkey references users (id),
    platform text not null,
    -- PKCE verifier, sealed.
    verifier bytea not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index oauth_states_expiry_idx on oauth_states (expires_at);
