-- People of an identity provider (Clerk), and its webhooks.

-- When the provider last changed what it tells of this person; what is older comes late and is not written.
alter table users add column clerk_updated_at timestamptz;
-- The address that the provider verified. Invitations are compared with it; unlike `email` two accounts may have it, since accounts are
-- never joined by their address.
alter table users add column verified_email text
    constraint users_verified_email_length check (length(verified_email) between 3 and 254);
alter table users add column email_verified_at timestamptz;
-- The account is gone: blanked and kept, so that rows which name it stand, and so that it never comes back under the same clerk_id.
alter table users add column deleted_at timestamptz;

-- Webhooks that were carried out. A sender repeats them until it gets an answer, and may repeat them after that.
create table webhook_seen (
    platform text not null,
    -- The sender's id of the message, the same on each repetition.
    key text not null constraint webhook_seen_key_length check (length(key) between 1 and 255),
    received_at timestamptz not null,
    constraint webhook_seen_pkey primary key (platform, key)
);
create index webhook_seen_age_idx on webhook_seen (received_at);

-- Sessions in which somebody else acts as the person (impersonation by the provider's own staff page), each logged once.
create table impersonations (
    user_id uuid not null constraint impersonations_user_fkey references users (id),
    session text not null constraint impersonations_session_length check (length(session) <= 255),
    actor text not null constraint impersonations_actor_length check (length(actor) between 1 and 255),
    first_seen_at timestamptz not null,
    constraint impersonations_pkey primary key (user_id, session, actor)
);
