-- How a counter stands, without a change. KEYS: epoch, leases, counter. ARGV: epoch, run, kind.
-- Answers OK with used, held and when some of it counts no more; NONE where nobody counts on it.
if not epoch_since() then return { 'NONE', now_ms } end
local found = look(KEYS[3], ARGV[3])
if found.poisoned or found.stale or not (found.seeded or ARGV[3] == 'l') then
  return { 'NONE', now_ms }
end
-- What leases hold that have run out is nobody's: whoever reserves next frees it.
local over = call('ZRANGEBYSCORE', KEYS[2], '-inf', plain(now_ms), 'LIMIT', 0, REAP_AT_ONCE)
for _, id in ipairs(over) do
  local fields = fields_of(record_of(id)) or {}
  for name, text in pairs(fields) do
    local line = tonumber(name) and read_line(text)
    if line and line.key == KEYS[3] and fields.s == 'R' and fields.e == ARGV[1]
        and not lapsed(line.kind, line.bucket) then
      found.held = found.held - line.amount
    end
  end
end
return { 'OK', now_ms, found.used, math.max(0, found.held), found.frees }
