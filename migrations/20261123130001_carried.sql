-- Permits of the window before that may count in this one. They come back under the number of their own window, or are lost with this one:
-- carried on from window to window, those that came back would hold up the budget for good.
alter table request_budgets add column carried double precision not null default 0;
