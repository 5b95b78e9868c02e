-- Accounts of people, their teams and how they are signed in.

create table instance_facts (
    name text not null constraint instance_facts_pkey primary key,
    value text not null,
    updated_at timestamptz not null
);
comment on table instance_facts is 'One row per fact of this installation: fingerprint of the encryption key, oldest binary that may use the schema.';
insert into instance_facts (name, value, updated_at) values ('min_binary_schema', '1', '2026-11-22T00:00:00Z');

create table users (
    id uuid not null constraint users_pkey primary key,
    -- Clerk tokens may carry no address, so it may be null; lower case, trimmed.
    email text constraint users_email_key unique constraint users_email_length check (length(email) between 3 and 254),
    name text not null constraint users_name_length check (length(name) between 1 and 100),
    clerk_id text constraint users_clerk_id_key unique,
    password_hash text,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table teams (
    id uuid not null constraint teams_pkey primary key,
    owner_user_id uuid not null constraint teams_owner_fkey references users (id),
    name text not null constraint teams_name_length check (length(name) between 1 and 100),
    created_at timestamptz not null
);

create table team_members (
    id uuid not null constraint team_members_pkey primary key,
    team_id uuid not null constraint team_members_team_fkey references teams (id),
    user_id uuid not null constraint team_members_user_fkey references users (id),
    role text not null constraint team_members_role_check check (role in ('admin', 'editor', 'viewer')),
    invited_at timestamptz,
    accepted_at timestamptz,
    constraint team_members_once unique (team_id, user_id)
);
create index team_members_user_idx on team_members (user_id);

create table sessions (
    id uuid not null constraint sessions_pkey primary key,
    user_id uuid not null constraint sessions_user_fkey references users (id),
    -- SHA-256 of the cookie: a dump of this table opens no session.
    token_hash bytea not null constraint sessions_token_key unique,
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null
);
create index sessions_user_idx on sessions (user_id);
create index sessions_expiry_idx on sessions (expires_at);

create table setup_links (
    id uuid not null constraint setup_links_pkey primary key,
    token_hash bytea not null constraint setup_links_token_key unique,
    -- first_admin makes the first account; sign_in opens the dashboard of the demo.
    purpose text not null constraint setup_links_purpose_check check (purpose in ('first_admin', 'sign_in')),
    user_id uuid constraint setup_links_user_fkey references users (id),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);

-- Token buckets, filled lazily by a conditional update.
create table rate_buckets (
    key text not null constraint rate_buckets_pkey primary key,
    tokens double precision not null,
    refilled_at timestamptz not null
);
create index rate_buckets_idle_idx on rate_buckets (refilled_at);

create table data_keys (
    id uuid not null constraint data_keys_pkey primary key,
    kek_provider text not null,
    kek_key_id text not null,
    kek_version integer not null,
    wrapped bytea not null,
    created_at timestamptz not null,
    retired_at timestamptz
);

create table idempotency_keys (
    caller_id uuid not null,
    method text not null,
    path text not null,
    key text not null constraint idempotency_keys_key_length check (length(key) between 1 and 255),
    body_hash bytea not null,
    -- Null while the first request is still running.
    status smallint,
    answer jsonb,
    created_at timestamptz not null,
    constraint idempotency_keys_pkey primary key (caller_id, method, path, key)
);
create index idempotency_keys_age_idx on idempotency_keys (created_at);
