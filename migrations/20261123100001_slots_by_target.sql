-- Slots are looked up by the text that they are for, and by nothing else: a plan that was made while the table was empty took this index
-- and read all of it. Whoever gives slots back knows their targets.
drop index reply_slots_suggestion_idx;
