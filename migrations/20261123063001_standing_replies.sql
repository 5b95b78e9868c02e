-- What stands of ours on the platforms after it was posted, and what people had changed there.

create table replies (
    suggestion_id uuid not null constraint replies_pkey primary key constraint replies_suggestion_fkey references suggestions (id),
    team_id uuid not null constraint replies_team_fkey references teams (id),
    integration_id uuid not null constraint replies_integration_fkey references integrations (id),
    platform_reply_id text not null,
    community text,
    -- Our words there, where a person changed them after posting; null: as the suggestion has them.
    text text,
    standing text not null constraint replies_standing_check check (standing in ('here', 'removed', 'deleted', 'unpublished')),
    score bigint,
    posted_at timestamptz not null,
    edited_at timestamptz,
    -- When it was last seen not to stand there any more.
    gone_at timestamptz,
    unpublished_by uuid constraint replies_unpublished_by_fkey references users (id),
    checked_at timestamptz,
    -- When it is looked at next; null: no more.
    check_at timestamptz
);
create index replies_due_idx on replies (check_at) where check_at is not null;
create index replies_removed_idx on replies (integration_id, gone_at desc) where standing = 'removed';

insert into replies (suggestion_id, team_id, integration_id, platform_reply_id, community, standing, posted_at)
select s.id, s.team_id, s.integration_id, s.platform_reply_id, p.community, 'here', s.posted_at
from suggestions s join posts p on p.id = s.post_id
where s.status = 'posted' and s.posted_at is not null;

-- One change of a reply that stands there, asked for by a person: at once its only attempt.
create table platform_actions (
    id uuid not null constraint platform_actions_pkey primary key,
    team_id uuid not null constraint platform_actions_team_fkey references teams (id),
    suggestion_id uuid not null constraint platform_actions_suggestion_fkey references suggestions (id),
    integration_id uuid not null constraint platform_actions_integration_fkey references integrations (id),
    kind text not null constraint platform_actions_kind_check check (kind in ('edit', 'delete')),
    platform_reply_id text not null,
    -- What an edit is to make of it.
    text text constraint platform_actions_text_check check ((kind = 'edit') = (text is not null)),
    state text not null constraint platform_actions_state_check check (state in ('waiting', 'uncertain', 'done', 'not_done')),
    reason text,
    requested_by uuid not null constraint platform_actions_requested_by_fkey references users (id),
    -- Calls that were armed so far; the platform refused each but the last before anything was done.
    tries integer not null default 0,
    worker_id uuid,
    armed_at timestamptz,
    -- When the call was over, whatever came of it; null while it may still be under way.
    call_ended_at timestamptz,
    status smallint,
    request jsonb not null default '{}',
    answer jsonb not null default '{}',
    reads integer not null default 0,
    last_read_at timestamptz,
    created_at timestamptz not null,
    finished_at timestamptz,
    constraint platform_actions_armed_check check (state <> 'uncertain' or (armed_at is not null and worker_id is not null))
);
create unique index platform_actions_one_open_key on platform_actions (suggestion_id) where state in ('waiting', 'uncertain');
create index platform_actions_story_idx on platform_actions (suggestion_id, created_at);
create index platform_actions_open_idx on platform_actions (created_at) where state in ('waiting', 'uncertain');
