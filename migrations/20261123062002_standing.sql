-- What is stored is asked for again: what is gone on the platform goes here, what was changed changes.

alter table posts
    -- When it is to be looked up next; written by each reading.
    add column check_at timestamptz not null default '-infinity';
alter table comments
    -- That of its post: the sweep reads by account.
    add column integration_id uuid constraint comments_integration_fkey references integrations (id),
    add column check_at timestamptz not null default '-infinity';
update comments c set integration_id = p.integration_id from posts p where p.id = c.post_id;

create index posts_check_idx on posts (integration_id, check_at) where deleted_at is null;
create index comments_check_idx on comments (integration_id, check_at) where deleted_at is null;
-- Written by a server from before: the sweep puts them in place.
create index comments_unplaced_idx on comments (post_id) where integration_id is null;

alter table inbox_items
    -- Why it closed without a person.
    add column closed_reason text;

-- Which items a text that is gone closes.
create index inbox_items_comment_idx on inbox_items (comment_id) where comment_id is not null;

alter table integrations
    add column sweep_at timestamptz not null default '-infinity',
    -- When nearly everything seemed gone: believed only when it seems so again.
    add column sweep_doubt_at timestamptz;
create index integrations_sweep_idx on integrations (sweep_at);
