-- What happened, append-only, written in the transaction of each change. Partitioned by month so that old months drop at once.

create table activity_logs (
    id uuid not null,
    team_id uuid not null constraint activity_logs_team_fkey references teams (id),
    -- Null where the machine acted.
    actor_user_id uuid constraint activity_logs_actor_fkey references users (id),
    type text not null,
    -- The object that it happened to.
    subject_kind text not null,
    subject_id uuid not null,
    -- Ids, hashes and our own words; never a stranger's text, never a secret.
    payload jsonb not null,
    request_id text,
    created_at timestamptz not null,
    constraint activity_logs_pkey primary key (id, created_at)
) partition by range (created_at);
create index activity_logs_team_idx on activity_logs (team_id, created_at desc, id desc);
create index activity_logs_subject_idx on activity_logs (subject_id, created_at);

-- Catches what no month was prepared for; the monitor complains when it holds rows.
create table activity_logs_default partition of activity_logs default;

create function activity_logs_prepare_months(from_day date, months integer) returns void
language plpgsql as $$
declare
    month date := date_trunc('month', from_day)::date;
    last date := (date_trunc('month', from_day) + make_interval(months => months))::date;
begin
    -- Two processes may start at once.
    perform pg_advisory_xact_lock(hashtext('activity_logs_prepare_months'));
    while month <= last loop
        if to_regclass('activity_logs_' || to_char(month, 'YYYYMM')) is null then
            execute format(
                'create table %I partition of activity_logs for values from (%L) to (%L)',
                'activity_logs_' || to_char(month, 'YYYYMM'),
                month::timestamp at time zone 'UTC',
                (month + interval '1 month')::timestamp at time zone 'UTC'
            );
        end if;
        month := (month + interval '1 month')::date;
    end loop;
end
$$;
