-- The texts that went out lately in communities, newest first: every approval and every claim compares with them.
create index replies_lately_idx on replies (posted_at desc) where community is not null;

-- One index for both questions: who answers this text with this account, and who else answers it. With two of them a plan made while the
-- table was empty could take the one that reads all slots of a platform.
alter table reply_slots drop constraint reply_slots_pkey;
alter table reply_slots add constraint reply_slots_pkey primary key (target_platform_id, platform, account_id);
drop index reply_slots_target_idx;
drop index suggestions_posted_lately_idx;
