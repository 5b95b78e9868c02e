-- A consent that comes back to a browser without a session: its grant waits, sealed, until the person who began it confirms it.

-- Where the browser goes afterwards, below REDIRECT_BASE; null: the dashboard.
alter table oauth_states add column return_to text;

create table pending_connections (
    id uuid not null constraint pending_connections_pkey primary key,
    ticket_hash bytea not null constraint pending_connections_ticket_key unique,
    team_id uuid not null constraint pending_connections_team_fkey references teams (id),
    -- Who began it; nobody else may confirm it.
    user_id uuid not null constraint pending_connections_user_fkey references users (id),
    platform text not null,
    platform_account_id text not null,
    display_name text not null,
    -- Tokens and scopes, sealed; null as soon as it was confirmed or let go.
    sealed_grant bytea,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint pending_connections_used_is_wiped check (used_at is null or sealed_grant is null)
);
create index pending_connections_expiry_idx on pending_connections (expires_at);
create index pending_connections_kept_idx on pending_connections (expires_at) where sealed_grant is not null;
