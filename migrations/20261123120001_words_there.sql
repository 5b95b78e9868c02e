-- The platform refused the attempt because these words stand there already, while an earlier attempt had ended without an answer: they
-- may be that one's. It is read back from the first attempt on, and what is not found is refused after all instead of being sent again.
alter table send_attempts add column words_there boolean not null default false;
