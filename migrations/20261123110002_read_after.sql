-- Before this nothing of the account is read: its platform asked to wait. Written by accounts/integrations only.
alter table integrations add column read_after timestamptz;
