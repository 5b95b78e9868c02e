-- Which events each account has us sent, and what its owner is called in callbacks. Written by accounts/subscriptions only.
create table webhook_subscriptions (
    integration_id uuid not null constraint webhook_subscriptions_pkey primary key
        constraint webhook_subscriptions_integration_fkey references integrations (id),
    team_id uuid not null constraint webhook_subscriptions_team_fkey references teams (id),
    -- As the platform took them; empty while it did not.
    fields text[] not null default '{}',
    -- Why it did not.
    problem text,
    -- The account as the platform names it to our app alone.
    app_user_id text,
    checked_at timestamptz not null
);
