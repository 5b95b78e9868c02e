-- A platform tells of people who took their consent back, or who want deleted what is stored of them.

alter table integrations
    -- When the consent that counts was given; null: before this column, so not after the account was created.
    add column consented_at timestamptz;

-- Who wants what is stored of them deleted. Belongs to no team. Written by privacy/deletions only.
create table data_deletions (
    id uuid not null constraint data_deletions_pkey primary key,
    platform text not null,
    -- By which the person looks up how the request stands. It opens nothing else.
    code text not null constraint data_deletions_code_key unique,
    -- Of the signed request, so that its repetition is known.
    fingerprint bytea not null constraint data_deletions_fingerprint_key unique,
    -- The person as the platform names them to our app; gone when it is done.
    app_user_id text,
    asked_at timestamptz not null,
    done_at timestamptz,
    constraint data_deletions_done_names_nobody check ((done_at is null) = (app_user_id is not null))
);
create index data_deletions_open_idx on data_deletions (asked_at) where done_at is null;
