-- Team and account of these rows are copied from a suggestion or an item that stands and was checked itself. Checking them again with each
-- row of a send takes a lock on the team's row each time, which all sends of the team share.
alter table activity_logs drop constraint activity_logs_team_fkey;
alter table send_attempts drop constraint send_attempts_team_fkey, drop constraint send_attempts_integration_fkey;
alter table replies drop constraint replies_team_fkey, drop constraint replies_integration_fkey;
