-- Built-in accounts: what a session ran on, new passwords by link, the second step of signing in.

-- "Firefox on Linux": our own words, made from the user agent. Null for sessions older than this column.
alter table sessions add column device text constraint sessions_device_length check (length(device) <= 60);

create table password_resets (
    id uuid not null constraint password_resets_pkey primary key,
    user_id uuid not null constraint password_resets_user_fkey references users (id),
    -- SHA-256 of what stands in the link.
    token_hash bytea not null constraint password_resets_token_key unique,
    -- forgot: the person asked for a mail; operator: the command line printed it.
    asked_by text not null constraint password_resets_asked_by_check check (asked_by in ('forgot', 'operator')),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index password_resets_user_idx on password_resets (user_id);
create index password_resets_expiry_idx on password_resets (expires_at);

-- One authenticator app per person.
create table totp_secrets (
    user_id uuid not null constraint totp_secrets_pkey primary key constraint totp_secrets_user_fkey references users (id),
    -- Sealed for this row.
    secret bytea not null,
    created_at timestamptz not null,
    -- Null until a first code showed that the app has the secret: signing in does not ask for it before.
    confirmed_at timestamptz,
    -- The 30 second step of the last code that was taken: no code counts twice, and none older than the last one.
    last_step bigint
);

create table recovery_codes (
    id uuid not null constraint recovery_codes_pkey primary key,
    user_id uuid not null constraint recovery_codes_user_fkey references users (id),
    -- SHA-256 of person and code; a code has 80 random bits.
    code_hash bytea not null constraint recovery_codes_hash_key unique,
    created_at timestamptz not null,
    used_at timestamptz
);
create index recovery_codes_user_idx on recovery_codes (user_id);

-- The password was right, the code is still to come.
create table second_steps (
    id uuid not null constraint second_steps_pkey primary key,
    user_id uuid not null constraint second_steps_user_fkey references users (id),
    -- SHA-256 of the cookie.
    token_hash bytea not null constraint second_steps_token_key unique,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index second_steps_user_idx on second_steps (user_id);
create index second_steps_expiry_idx on second_steps (expires_at);
