-- What a webhook tells of is compared with what we sent ourselves and with what is gone already.
create index suggestions_reply_idx on suggestions (integration_id, platform_reply_id) where platform_reply_id is not null;
create index comments_gone_idx on comments (integration_id, platform_comment_id) where deleted_at is not null;
