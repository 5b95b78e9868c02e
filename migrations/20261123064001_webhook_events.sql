-- What platforms tell by webhook, kept before it is answered and worked afterwards. Written by the ingest stage only.

create table webhook_events (
    id uuid not null,
    -- Null while no connected account is the one that the event names. No foreign key: integrations are never deleted, and
    -- events come in bursts.
    integration_id uuid,
    platform text not null,
    -- As the event names it.
    platform_account_id text,
    event_type text not null,
    -- The change alone, as it was signed; json, since jsonb refuses escapes that a stranger may write. Without words and names once it
    -- was worked.
    raw_payload json not null,
    verified boolean not null,
    received_at timestamptz not null,
    sent_at timestamptz,
    parse_error text,
    processed_at timestamptz,
    -- What came of it.
    outcome text,
    constraint webhook_events_pkey primary key (id, received_at)
) partition by range (received_at);
-- What waits to be worked, by account.
create index webhook_events_waiting_idx on webhook_events (integration_id, received_at, id)
    where processed_at is null and integration_id is not null;
-- What waits for an account to be connected.
create index webhook_events_unassigned_idx on webhook_events (platform, platform_account_id, received_at)
    where processed_at is null and integration_id is null;
-- When an account was last told of something.
create index webhook_events_recent_idx on webhook_events (integration_id, received_at desc) where integration_id is not null;
create index webhook_events_age_idx on webhook_events (received_at);

-- Catches what no month was prepared for; the monitor complains when it holds rows.
create table webhook_events_default partition of webhook_events default;

create function webhook_events_prepare_months(from_day date, months integer) returns void
language plpgsql as $$
declare
    month date := date_trunc('month', from_day)::date;
    last date := (date_trunc('month', from_day) + make_interval(months => months))::date;
begin
    -- Two processes may start at once.
    perform pg_advisory_xact_lock(hashtext('webhook_events_prepare_months'));
    while month <= last loop
        if to_regclass('webhook_events_' || to_char(month, 'YYYYMM')) is null then
            execute format(
                'create table %I partition of webhook_events for values from (%L) to (%L)',
                'webhook_events_' || to_char(month, 'YYYYMM'),
                month::timestamp at time zone 'UTC',
                (month + interval '1 month')::timestamp at time zone 'UTC'
            );
        end if;
        month := (month + interval '1 month')::date;
    end loop;
end
$$;
