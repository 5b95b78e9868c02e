-- Who is asked into a team. The link is known to its bearer only; it works once, for the person with this address.
create table invitations (
    id uuid not null constraint invitations_pkey primary key,
    team_id uuid not null constraint invitations_team_fkey references teams (id),
    -- Lower case, trimmed, as in users.
    email text not null constraint invitations_email_length check (length(email) between 3 and 254),
    role text not null constraint invitations_role_check check (role in ('admin', 'editor', 'viewer')),
    -- SHA-256 of the link's token.
    token_hash bytea not null constraint invitations_token_key unique,
    invited_by uuid not null constraint invitations_invited_by_fkey references users (id),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    accepted_by uuid constraint invitations_accepted_by_fkey references users (id),
    -- Taken back by an admin, or replaced by a newer one to the same address.
    withdrawn_at timestamptz,
    constraint invitations_ended_once check (accepted_at is null or withdrawn_at is null),
    constraint invitations_accepted_both check ((accepted_at is null) = (accepted_by is null))
);
-- One open invitation per address and team; also the list of the open ones.
create unique index invitations_open_key on invitations (team_id, email) where accepted_at is null and withdrawn_at is null;
create index invitations_old_idx on invitations (expires_at);

-- Members are listed in the order in which they came.
create index team_members_list_idx on team_members (team_id, accepted_at, user_id);
