-- What platforms that charge for their API have charged for: per team and month of UTC, in units. Prices stand in the code.

create table platform_usage (
    team_id uuid not null,
    platform text not null,
    -- The first of the month.
    month date not null,
    kind text not null,
    units bigint not null,
    constraint platform_usage_pkey primary key (team_id, platform, month, kind),
    constraint platform_usage_team_fkey foreign key (team_id) references teams (id),
    constraint platform_usage_units_range check (units >= 0)
);

-- Things that were counted on a day of UTC. The same thing again on that day costs nothing, whoever reads it through the app.
create table platform_charges (
    platform text not null,
    client_id text not null,
    day date not null,
    kind text not null,
    thing text not null,
    team_id uuid not null,
    constraint platform_charges_pkey primary key (platform, client_id, day, kind, thing),
    constraint platform_charges_team_fkey foreign key (team_id) references teams (id)
);
create index platform_charges_day_idx on platform_charges (day);

-- What a call that is under way may cost at most, so that several at once do not pass the budget together.
create table platform_holds (
    id bigint generated always as identity,
    team_id uuid not null,
    micro_usd bigint not null,
    -- Whoever died has let go by then.
    until timestamptz not null,
    constraint platform_holds_pkey primary key (id),
    constraint platform_holds_team_fkey foreign key (team_id) references teams (id)
);
create index platform_holds_team_idx on platform_holds (team_id, until);
