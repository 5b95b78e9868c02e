-- What keeps an account a welcome guest: who wants no answer, where rules hold back, whose policy an admin has confirmed.

-- A stranger asked not to be answered. Lifted by an admin only; a text from before the lifting does not count again.
create table opt_outs (
    id uuid not null constraint opt_outs_pkey primary key,
    team_id uuid not null constraint opt_outs_team_fkey references teams (id),
    platform text not null,
    -- The platform's id of the author, else "@" and the handle in lower case.
    author_key text not null,
    -- Where they said so; their words stand there only.
    comment_id uuid constraint opt_outs_comment_fkey references comments (id) on delete set null,
    -- The words of our list that were found.
    words text not null,
    noted_at timestamptz not null,
    lifted_at timestamptz,
    lifted_by uuid constraint opt_outs_lifted_by_fkey references users (id)
);
create unique index opt_outs_standing_key on opt_outs (team_id, platform, author_key) where lifted_at is null;
create index opt_outs_list_idx on opt_outs (team_id, noted_at desc, id desc);
create index opt_outs_author_idx on opt_outs (team_id, platform, author_key, lifted_at);

alter table team_settings
    -- Words of the team's own by which a stranger asks not to be answered.
    add column opt_out_words text[] not null default '{}';

-- Rules post no more in a community, or (null) with an account at all, because what we posted was removed there.
create table rule_pauses (
    id uuid not null constraint rule_pauses_pkey primary key,
    team_id uuid not null constraint rule_pauses_team_fkey references teams (id),
    integration_id uuid not null constraint rule_pauses_integration_fkey references integrations (id),
    community text,
    -- Our own words.
    reason text not null,
    paused_at timestamptz not null,
    lifted_at timestamptz,
    lifted_by uuid constraint rule_pauses_lifted_by_fkey references users (id)
);
create unique index rule_pauses_standing_key on rule_pauses (integration_id, coalesce(community, '')) where lifted_at is null;
create index rule_pauses_list_idx on rule_pauses (team_id, paused_at desc, id desc);

alter table integrations
    -- An admin has read what the platform asks of automatic replies. Rules post nothing before.
    add column policy_confirmed_at timestamptz,
    add column policy_confirmed_by uuid constraint integrations_policy_by_fkey references users (id);

-- Who else of the team has answered the same text.
create index reply_slots_target_idx on reply_slots (platform, target_platform_id);
-- What the installation posted lately, whatever the account.
create index suggestions_posted_lately_idx on suggestions (posted_at desc) where posted_at is not null;
