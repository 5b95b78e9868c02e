-- A platform may have several ways of signing in; null: the usual one. Written by accounts/connect only.
alter table oauth_states add column login text;
-- Accounts that one consent reaches, for its person to choose from: [{"id", "name", "place"}]; null where it reaches one. Their tokens are in
-- sealed_grant. Written by accounts/connect only.
alter table pending_connections add column choices jsonb;
