-- How a counter stands, without a change. KEYS: epoch, leases, counter. ARGV: epoch, run, kind.
-- Answers OK with used, held and when some of it counts no more; NONE where nobody counts on it.
if not epoch_since() then return { 'NONE', now_ms } end
local found = look(KEYS[3], ARGV[3])
if found.poisoned or found.stale or not (found.seeded or ARGV[3] == 'l') then
  return { 'NONE', now_ms }
end
return { 'OK', now_ms, found.used, found.held, found.frees }
