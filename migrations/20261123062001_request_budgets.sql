-- What a platform lets one client id ask, shared by all accounts that were connected through it and by all processes.

create table request_budgets (
    platform text not null,
    client_id text not null,
    -- The hosts of a platform count apart: its API and its token endpoint.
    host text not null constraint request_budgets_host_check check (host in ('api', 'token')),
    -- Changed by each write: who read an older one asks again.
    version bigint not null,
    -- Counts the windows; a permit is good for the window that it was given in.
    number bigint not null,
    requests_limit double precision not null,
    -- As told last, less what was answered without telling.
    remaining double precision not null,
    -- Given out and not yet answered.
    outstanding double precision not null,
    ends_at timestamptz not null,
    -- The end of the window is ours, not told.
    assumed boolean not null,
    -- The platform answered "too many": nothing goes before.
    closed_until timestamptz,
    updated_at timestamptz not null,
    constraint request_budgets_pkey primary key (platform, client_id, host)
);
