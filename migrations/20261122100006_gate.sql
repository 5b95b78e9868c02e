-- What the gate asks before a reply goes out, and what it tells people.

-- The switch of the whole installation, turned by its operator.
create table instance_switches (
    name text not null constraint instance_switches_pkey primary key,
    paused_at timestamptz,
    reason text,
    updated_at timestamptz not null
);
insert into instance_switches (name, updated_at) values ('sending', '2026-11-22T00:00:00Z');

-- One row per team, made with it.
create table team_settings (
    team_id uuid not null constraint team_settings_pkey primary key constraint team_settings_team_fkey references teams (id),
    timezone text not null default 'UTC',
    -- Null: as the server is set.
    daily_cap integer constraint team_settings_cap_range check (daily_cap between 0 and 1000000),
    gap_secs integer constraint team_settings_gap_range check (gap_secs between 0 and 86400),
    -- Local time of day; a start after the end means over midnight.
    quiet_from time,
    quiet_to time,
    -- Where links may lead without a person having looked.
    link_domains text[] not null default '{}',
    paused_at timestamptz,
    pause_reason text,
    paused_by uuid constraint team_settings_paused_by_fkey references users (id),
    updated_at timestamptz not null,
    constraint team_settings_quiet_both check ((quiet_from is null) = (quiet_to is null))
);
insert into team_settings (team_id, updated_at) select id, created_at from teams;

-- Replies reserved per local day: of a team, or of the installation under the nil id. Given back when nothing was posted.
create table usage_counters (
    scope_id uuid not null,
    metric text not null,
    day date not null,
    used bigint not null constraint usage_counters_used_range check (used >= 0),
    constraint usage_counters_pkey primary key (scope_id, metric, day)
);

-- When the next reply of an account may go out.
create table send_pacing (
    integration_id uuid not null constraint send_pacing_pkey primary key
        constraint send_pacing_integration_fkey references integrations (id),
    next_at timestamptz not null,
    -- Why, where it is not our own pace: the platform asked for a pause.
    reason text
);

alter table integrations
    -- Who paused it: a person, its own failures, or trouble of the whole app.
    add column pause_cause text constraint integrations_pause_cause_check check (pause_cause in ('person', 'failures', 'app')),
    add column paused_by uuid constraint integrations_paused_by_fkey references users (id);
-- What is paused writes nothing and is read all the same.
drop index integrations_due_idx;
create index integrations_due_idx on integrations (next_poll_at) where state in ('connected', 'paused');
drop index integrations_expiry_idx;
create index integrations_expiry_idx on integrations (expires_at) where state in ('connected', 'paused');

alter table suggestions
    -- Parked until this switch is turned back; null: parked until `send_after`.
    add column waits_for text constraint suggestions_waits_for_check check (waits_for in ('instance', 'team', 'integration')),
    -- Reasons that stood beside the text when a person approved it: they hold it no more.
    add column accepted_reasons jsonb not null default '[]',
    add column posted_at timestamptz;
update suggestions set posted_at = updated_at where status = 'posted';
create index suggestions_waits_for_idx on suggestions (waits_for, team_id, integration_id) where waits_for is not null;
create index suggestions_posted_idx on suggestions (integration_id, posted_at desc) where posted_at is not null;
drop index suggestions_unsent_idx;
create index suggestions_unsent_idx on suggestions (approved_at) where status = 'approved' and stage in ('ready', 'parked');
create index suggestions_uncertain_idx on suggestions (team_id, created_at desc, id desc) where stage = 'uncertain';

alter table send_attempts
    add column integration_id uuid constraint send_attempts_integration_fkey references integrations (id),
    -- How far a failure reaches: this reply, the account or the whole app.
    add column scope text constraint send_attempts_scope_check check (scope in ('item', 'account', 'app')),
    -- The team's local day whose counter the attempt was reserved on, and the one of the installation.
    add column usage_day date,
    add column instance_day date,
    -- When the call was over, whatever came of it; null while it may still be under way.
    add column call_ended_at timestamptz;
update send_attempts a set integration_id = s.integration_id from suggestions s where s.id = a.suggestion_id;
alter table send_attempts alter column integration_id set not null;
create index send_attempts_failures_idx on send_attempts (integration_id, armed_at) where scope = 'account';
create index send_attempts_open_idx on send_attempts (integration_id, armed_at) where outcome = 'uncertain';

-- What a team must know without having asked.
create table notices (
    id uuid not null constraint notices_pkey primary key,
    team_id uuid not null constraint notices_team_fkey references teams (id),
    kind text not null,
    subject_kind text not null,
    subject_id uuid not null,
    -- Our own words.
    text text not null,
    created_at timestamptz not null,
    -- The cause is gone.
    resolved_at timestamptz,
    -- A person has read it.
    dismissed_at timestamptz,
    dismissed_by uuid constraint notices_dismissed_by_fkey references users (id)
);
create unique index notices_open_key on notices (team_id, kind, subject_id) where resolved_at is null;
create index notices_list_idx on notices (team_id, created_at desc, id desc);
