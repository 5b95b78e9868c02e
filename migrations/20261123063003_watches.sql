-- What a team follows beside its own posts, and what communities let people do.

create table watches (
    id uuid not null constraint watches_pkey primary key,
    team_id uuid not null constraint watches_team_fkey references teams (id),
    integration_id uuid not null constraint watches_integration_fkey references integrations (id),
    kind text not null constraint watches_kind_check check (kind in ('community', 'keyword')),
    -- Name of the community, or the words that are looked for.
    text text not null constraint watches_text_length check (length(text) between 1 and 200),
    -- A keyword in this community only; null: everywhere.
    community text,
    active boolean not null default true,
    cursor jsonb not null default 'null',
    last_polled_at timestamptz,
    last_problem text,
    next_poll_at timestamptz not null,
    created_by uuid not null constraint watches_created_by_fkey references users (id),
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create unique index watches_same_key on watches (integration_id, kind, lower(text), coalesce(lower(community), ''));
create index watches_list_idx on watches (team_id, created_at desc, id desc);
create index watches_due_idx on watches (next_poll_at) where active;

alter table inbox_items
    -- The watch that found it; what the account's own posts brought has none.
    add column watch_id uuid constraint inbox_items_watch_fkey references watches (id) on delete set null;

-- Communities as an account sees them, kept for a day.
create table places (
    integration_id uuid not null constraint places_integration_fkey references integrations (id),
    -- In lower case, without decoration.
    name text not null,
    team_id uuid not null constraint places_team_fkey references teams (id),
    access text not null constraint places_access_check
        check (access in ('open', 'quarantined', 'private', 'banned', 'missing')),
    -- Title, description and what each applies to, in the community's order.
    rules jsonb not null default '[]',
    read_at timestamptz not null,
    constraint places_pkey primary key (integration_id, name)
);
create index places_read_idx on places (read_at);
