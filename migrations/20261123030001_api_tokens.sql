-- Programs sign in too: API tokens of people, and tickets for live events where a browser cannot send a header.

create table api_tokens (
    id uuid not null constraint api_tokens_pkey primary key,
    team_id uuid not null constraint api_tokens_team_fkey references teams (id) on delete cascade,
    -- Its rights end where those of this person end.
    created_by uuid not null constraint api_tokens_created_by_fkey references users (id),
    name text not null constraint api_tokens_name_length check (length(name) between 1 and 100),
    -- At most; what counts is the lesser of this and the maker's role at the time of the request.
    role text not null constraint api_tokens_role_check check (role in ('admin', 'editor', 'viewer')),
    -- SHA-256 of the token: a dump of this table opens nothing.
    token_hash bytea not null constraint api_tokens_token_key unique,
    -- So that a person recognises it.
    last_signs text not null constraint api_tokens_last_signs_length check (length(last_signs) = 4),
    created_at timestamptz not null,
    expires_at timestamptz,
    -- Within a minute.
    last_used_at timestamptz,
    revoked_at timestamptz,
    revoked_by uuid constraint api_tokens_revoked_by_fkey references users (id)
);
create index api_tokens_team_idx on api_tokens (team_id, created_at desc, id desc);

create table event_tickets (
    token_hash bytea not null constraint event_tickets_pkey primary key,
    team_id uuid not null constraint event_tickets_team_fkey references teams (id) on delete cascade,
    user_id uuid not null constraint event_tickets_user_fkey references users (id) on delete cascade,
    -- What its holder had signed in with; when that ends, so does the stream. Both null: a token of an identity provider.
    session_id uuid,
    api_token_id uuid,
    expires_at timestamptz not null
);
create index event_tickets_expiry_idx on event_tickets (expires_at);
