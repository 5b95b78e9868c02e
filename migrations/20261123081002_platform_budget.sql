-- What the platforms may charge the team in a month, in cents of a US dollar. Null: no limit. It stops reading, never replies.
alter table team_settings
    add column platform_budget_cents integer,
    add constraint team_settings_platform_budget_range check (platform_budget_cents between 0 and 100000000);
