-- How often an account is read: by how much happens there, and by what the request budget allows.

alter table integrations
    -- When the next round was due by its own rhythm; `next_poll_at` may be later, for want of requests.
    add column poll_due_at timestamptz,
    -- Wanted and, where the budget is short, stretched.
    add column poll_wanted_secs integer,
    add column poll_interval_secs integer,
    -- Requests of a round, the last ones counting more.
    add column poll_cost real not null default 1,
    -- When a stranger's text came in last.
    add column last_heard_at timestamptz;

alter table request_budgets
    -- Given out between the end of a window and the surely begun next one: counted in both.
    add column overlap double precision not null default 0,
    -- How many times longer intervals are than wanted, and how many accounts share the budget.
    add column stretch double precision not null default 1,
    add column accounts integer not null default 0,
    add column measured_at timestamptz;
