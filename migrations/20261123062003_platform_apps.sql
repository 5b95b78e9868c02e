-- A team may bring the app that its accounts are connected through: its own client id, and with it its own request budget.

create table platform_apps (
    id uuid not null constraint platform_apps_pkey primary key,
    team_id uuid not null constraint platform_apps_team_fkey references teams (id),
    platform text not null,
    -- Public; never changes. Another one is another row, because tokens belong to the client that they were given to.
    client_id text not null constraint platform_apps_client_id_length check (length(client_id) between 1 and 200),
    -- Sealed; null as soon as the app was removed.
    client_secret bytea,
    created_by uuid constraint platform_apps_created_by_fkey references users (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- New accounts are not connected through it any more.
    retired_at timestamptz,
    constraint platform_apps_secret_check check (client_secret is not null or retired_at is not null)
);
create unique index platform_apps_current_key on platform_apps (team_id, platform) where retired_at is null;

-- Null: through the app of the installation.
alter table integrations add column app_id uuid constraint integrations_app_fkey references platform_apps (id);
alter table oauth_states add column app_id uuid constraint oauth_states_app_fkey references platform_apps (id);
alter table pending_connections add column app_id uuid constraint pending_connections_app_fkey references platform_apps (id);
create index integrations_app_idx on integrations (app_id) where app_id is not null;
