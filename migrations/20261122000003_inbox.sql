-- What people wrote, and the list that a person works through. Written by the ingest stage only.

create table posts (
    id uuid not null constraint posts_pkey primary key,
    team_id uuid not null constraint posts_team_fkey references teams (id),
    integration_id uuid not null constraint posts_integration_fkey references integrations (id),
    platform text not null,
    platform_post_id text not null,
    author_platform_id text,
    author_handle text,
    -- Written by the connected account itself.
    own boolean not null,
    title text,
    body text not null,
    media jsonb not null default '[]',
    community text,
    permalink text,
    locked boolean not null default false,
    platform_created_at timestamptz not null,
    edited_at timestamptz,
    deleted_at timestamptz,
    fetched_at timestamptz not null,
    created_at timestamptz not null,
    constraint posts_platform_id_key unique (integration_id, platform_post_id)
);
create index posts_team_recent_idx on posts (team_id, created_at desc, id desc);
create index posts_team_platform_recent_idx on posts (team_id, platform, created_at desc, id desc);

create table comments (
    id uuid not null constraint comments_pkey primary key,
    team_id uuid not null constraint comments_team_fkey references teams (id),
    post_id uuid not null constraint comments_post_fkey references posts (id),
    -- Null for an answer to the post itself, and while the parent has not been read.
    parent_comment_id uuid constraint comments_parent_fkey references comments (id),
    platform_comment_id text not null,
    platform_parent_id text,
    author_handle text,
    author_platform_id text,
    own boolean not null,
    text text not null,
    permalink text,
    metadata jsonb not null default '{}',
    platform_created_at timestamptz not null,
    edited_at timestamptz,
    deleted_at timestamptz,
    fetched_at timestamptz not null,
    created_at timestamptz not null,
    constraint comments_platform_id_key unique (post_id, platform_comment_id)
);
create index comments_thread_idx on comments (post_id, platform_created_at, id);
create index comments_parent_idx on comments (parent_comment_id) where parent_comment_id is not null;

create table inbox_items (
    id uuid not null constraint inbox_items_pkey primary key,
    team_id uuid not null constraint inbox_items_team_fkey references teams (id),
    integration_id uuid not null constraint inbox_items_integration_fkey references integrations (id),
    target_kind text not null constraint inbox_items_kind_check check (target_kind in ('post', 'comment')),
    target_platform_id text not null,
    post_id uuid not null constraint inbox_items_post_fkey references posts (id),
    comment_id uuid constraint inbox_items_comment_fkey references comments (id),
    state text not null constraint inbox_items_state_check
        check (state in ('open', 'snoozed', 'done', 'ignored', 'answered_elsewhere')),
    assignee_user_id uuid constraint inbox_items_assignee_fkey references users (id),
    last_activity_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint inbox_items_target_key unique (integration_id, target_platform_id)
);
create index inbox_items_list_idx on inbox_items (team_id, state, last_activity_at desc, id desc);
create index inbox_items_post_idx on inbox_items (post_id);
