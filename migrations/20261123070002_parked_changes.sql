-- A change of a posted reply that is asked for while sending is paused waits for the switch, as a reply does.

alter table platform_actions
    -- The switch whose turning back it waits for.
    add column waits_for text,
    -- When it is too late to make it. Null: an hour after it was asked for.
    add column patient_until timestamptz,
    add constraint platform_actions_waits_for_check check (waits_for in ('instance', 'team', 'integration'));
