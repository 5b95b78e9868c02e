-- A reply that the platform took and shows nowhere is never sent again: it stays uncertain until it is found or a person decides.
alter table send_attempts add column taken boolean not null default false;
