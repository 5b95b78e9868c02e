-- A ticket of a listener whom Clerk signs in is bound to the session there: with it the stream ends.
alter table event_tickets add column clerk_session text
    constraint event_tickets_clerk_session_length check (length(clerk_session) between 1 and 255);
