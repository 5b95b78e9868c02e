-- Own posts are looked at in batches, over all accounts of a client id: how many comments stand under them. What changed is read.

alter table posts
    -- When its comments are counted next. Null: only the list of its own account tells.
    add column look_at timestamptz,
    -- How many comments stood under it at the last look, and when that number changed last.
    add column comments_told integer,
    add column changed_at timestamptz,
    -- The number changed, and the comments were not read since.
    add column to_read boolean not null default false;
update posts set look_at = created_at where own and platform = 'reddit' and deleted_at is null;
create index posts_look_idx on posts (integration_id, look_at) where look_at is not null and deleted_at is null;
create index posts_to_read_idx on posts (integration_id) where to_read;

alter table integrations
    -- When the account's own posts are listed next. Null: they never were.
    add column list_at timestamptz,
    -- Requests a second that the looks at its posts want.
    add column look_per_sec real not null default 0;
