-- Intents, suggestions and the send protocol.

create table intents (
    id uuid not null constraint intents_pkey primary key,
    team_id uuid not null constraint intents_team_fkey references teams (id),
    name text not null constraint intents_name_length check (length(name) between 1 and 80),
    tone text not null constraint intents_tone_check check (tone in ('friendly', 'formal', 'witty', 'neutral')),
    confidence_threshold double precision not null
        constraint intents_threshold_range check (confidence_threshold between 0 and 1),
    brand_voice text not null default '' constraint intents_brand_voice_length check (length(brand_voice) <= 4000),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Deleted intents stay for the suggestions that name them.
    deleted_at timestamptz
);
create unique index intents_team_name_key on intents (team_id, lower(name)) where deleted_at is null;

create table intent_variations (
    id uuid not null constraint intent_variations_pkey primary key,
    intent_id uuid not null constraint intent_variations_intent_fkey references intents (id) on delete cascade,
    text text not null constraint intent_variations_text_length check (length(text) between 1 and 280),
    weight integer not null default 10 constraint intent_variations_weight_range check (weight between 0 and 1000),
    enabled boolean not null default true,
    created_at timestamptz not null
);
create index intent_variations_intent_idx on intent_variations (intent_id, created_at);

create table suggestions (
    id uuid not null constraint suggestions_pkey primary key,
    team_id uuid not null constraint suggestions_team_fkey references teams (id),
    integration_id uuid not null constraint suggestions_integration_fkey references integrations (id),
    item_id uuid not null constraint suggestions_item_fkey references inbox_items (id),
    post_id uuid not null constraint suggestions_post_fkey references posts (id),
    comment_id uuid constraint suggestions_comment_fkey references comments (id),
    -- What the reply answers on the platform; never changes, whatever happens to the rows above.
    target_kind text not null constraint suggestions_kind_check check (target_kind in ('post', 'comment')),
    target_platform_id text not null,
    post_platform_id text not null,
    generated_by text not null constraint suggestions_generated_by_check check (generated_by in ('ai', 'template', 'person')),
    mode text not null constraint suggestions_mode_check check (mode in ('fast', 'draft')),
    intent_id uuid constraint suggestions_intent_fkey references intents (id),
    wanted_intent_id uuid constraint suggestions_wanted_intent_fkey references intents (id),
    text text,
    original_text text,
    edited boolean not null default false,
    -- Drafted anew at a person's wish.
    redrafted boolean not null default false,
    alternatives jsonb not null default '[]',
    tone text,
    language text,
    confidence double precision constraint suggestions_confidence_range check (confidence between 0 and 1),
    should_reply boolean,
    draft_reason text,
    sensitive_topic text,
    model text,
    prompt_hash text,
    tokens_prompt bigint,
    tokens_output bigint,
    cost_micro_usd bigint,
    status text not null constraint suggestions_status_check
        check (status in ('pending', 'approved', 'rejected', 'posted', 'failed')),
    stage text not null constraint suggestions_stage_check
        check (stage in ('drafting', 'ready', 'parked', 'queued', 'sending', 'uncertain', 'done')),
    stage_reason text,
    held_reasons jsonb not null default '[]',
    version integer not null default 1,
    generation_id uuid not null,
    send_after timestamptz,
    lease_until timestamptz,
    platform_reply_id text,
    platform_reply_url text,
    worker_logs jsonb not null default '[]',
    created_by uuid constraint suggestions_created_by_fkey references users (id),
    approved_by uuid constraint suggestions_approved_by_fkey references users (id),
    approved_at timestamptz,
    -- Who changed it last, for the answer to whoever lost a race.
    changed_by uuid constraint suggestions_changed_by_fkey references users (id),
    changed_how text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint suggestions_stage_fits_status check (
        (status = 'pending' and stage in ('drafting', 'ready'))
        or (status = 'approved' and stage in ('ready', 'parked', 'queued', 'sending', 'uncertain'))
        or (status in ('rejected', 'posted', 'failed') and stage = 'done')
    ),
    constraint suggestions_posted_has_id check (status <> 'posted' or platform_reply_id is not null),
    constraint suggestions_text_when_ready check (text is not null or stage = 'drafting' or status in ('failed', 'rejected'))
);
-- One open draft per target: asking twice leads to the same one.
create unique index suggestions_open_target_key on suggestions (integration_id, target_platform_id)
    where status in ('pending', 'approved');
create index suggestions_target_idx on suggestions (integration_id, target_platform_id);
create index suggestions_list_idx on suggestions (team_id, status, created_at desc, id desc);
create index suggestions_drafting_idx on suggestions (updated_at) where stage = 'drafting';
create index suggestions_item_idx on suggestions (item_id, created_at desc);
create index suggestions_waiting_idx on suggestions (send_after) where status = 'approved' and stage in ('queued', 'parked');
create index suggestions_unsent_idx on suggestions (approved_at) where status = 'approved' and stage = 'ready';
create index suggestions_in_flight_idx on suggestions (lease_until) where stage in ('sending', 'uncertain');

create table draft_edits (
    suggestion_id uuid not null constraint draft_edits_suggestion_fkey references suggestions (id) on delete cascade,
    user_id uuid not null constraint draft_edits_user_fkey references users (id),
    text text not null,
    -- The version of the suggestion that the person was looking at.
    base_version integer not null,
    updated_at timestamptz not null,
    constraint draft_edits_pkey primary key (suggestion_id, user_id)
);

-- At most one public reply per target and account: whoever holds the row may write.
create table reply_slots (
    platform text not null,
    account_id text not null,
    target_platform_id text not null,
    suggestion_id uuid not null constraint reply_slots_suggestion_fkey references suggestions (id),
    taken_at timestamptz not null,
    constraint reply_slots_pkey primary key (platform, account_id, target_platform_id)
);
create index reply_slots_suggestion_idx on reply_slots (suggestion_id);

create table send_attempts (
    id uuid not null constraint send_attempts_pkey primary key,
    team_id uuid not null constraint send_attempts_team_fkey references teams (id),
    suggestion_id uuid not null constraint send_attempts_suggestion_fkey references suggestions (id),
    number integer not null,
    -- Whose session lock says whether this attempt can still be running.
    worker_id uuid not null,
    armed_at timestamptz not null,
    outcome text not null constraint send_attempts_outcome_check check (outcome in ('uncertain', 'posted', 'refused', 'not_sent')),
    reason text,
    status smallint,
    request jsonb not null default '{}',
    answer jsonb not null default '{}',
    platform_reply_id text,
    -- Times that the platform was read back without finding the reply, and when last.
    absent_reads integer not null default 0,
    last_read_at timestamptz,
    finished_at timestamptz,
    constraint send_attempts_number_key unique (suggestion_id, number)
);
create unique index send_attempts_one_open_key on send_attempts (suggestion_id) where outcome = 'uncertain';
