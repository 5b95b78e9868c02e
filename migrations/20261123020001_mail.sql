-- Mails on their way out. A mail may hold a link that lets somebody in, so all of it is sealed: a dump of this table or of the
-- job queue opens nothing. The row goes when the mail is handed over, or when it is given up.

create table mails (
    id uuid not null constraint mails_pkey primary key,
    -- Recipient, subject and text as JSON.
    sealed bytea not null,
    created_at timestamptz not null
);
create index mails_age_idx on mails (created_at);
