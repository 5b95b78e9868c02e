-- Sessions of the dashboard that stand for a session at Clerk, by its id there: they end with it.
alter table sessions add column clerk_session text constraint sessions_clerk_session_length check (length(clerk_session) between 1 and 255);
create index sessions_clerk_session_idx on sessions (clerk_session) where clerk_session is not null;
