-- Hold more while an answer runs. KEYS: epoch, leases, record, a counter for each line. ARGV: epoch,
-- run, then for each line: all that it is to hold, 1 where this may be refused, limit. What is held
-- is said as a whole, so that it can be said again.
-- Answers OK, BOUND, DONE (the hold has ended or is not known) or LOST.
if not epoch_since() then return { 'LOST', now_ms } end
local state = state_of(KEYS[3])
if state ~= 'R' then return { 'DONE', now_ms, state or '' } end
local lines = {}
for i = 1, #KEYS - 3 do
  local at = 2 + (i - 1) * 3
  local line = read_line(call('HGET', KEYS[3], i))
  lines[i] = line
  if line then
    line.more = math.max(0, tonumber(ARGV[at + 1]) - line.amount)
    if line.more > 0 and ARGV[at + 2] == '1' then
      local found = look(line.key, line.kind)
      if not found.poisoned and not (found.used + found.held + line.more <= tonumber(ARGV[at + 3]))
      then
        return { 'BOUND', now_ms, i, found.used, found.held, found.frees }
      end
    end
  end
end
for i = 1, #KEYS - 3 do
  local line = lines[i]
  if line and line.more > 0 then
    hold_more(line, line.more)
    line.amount = line.amount + line.more
    write_line(KEYS[3], i, line)
  end
end
return { 'OK', now_ms }
