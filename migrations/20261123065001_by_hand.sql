-- Some platforms take a reply from a person on their own page and not from a program: X does so wherever the author did not ask for us.

-- Why the API takes no reply to it, in words for people; null where it does. Known from the text itself, or from a refusal.
alter table posts add column by_hand text;
alter table comments add column by_hand text;
