-- Hold more while an answer runs. KEYS: epoch, leases, record, a counter for each line. ARGV: epoch,
-- run, the number of this extension, then for each line: check (0: not refused here), book, limit.
-- Answers OK, BOUND, DONE (was in before, or the hold has ended) or LOST.
if not epoch_since() then return { 'LOST', now_ms } end
local found = call('HMGET', KEYS[3], 's', 'x')
local number = tonumber(ARGV[3])
if found[1] ~= 'R' or (whole(found[2]) or 0) >= number then
  return { 'DONE', now_ms, found[1] or '' }
end
for i = 1, #KEYS - 3 do
  local at = 3 + (i - 1) * 3
  local check, limit = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 3])
  if check > 0 then
    local line = read_line(call('HGET', KEYS[3], i))
    local stands = look(KEYS[3 + i], line.kind)
    if not stands.poisoned and not (stands.used + stands.held + check <= limit) then
      return { 'BOUND', now_ms, i, stands.used, stands.held, stands.frees }
    end
  end
end
for i = 1, #KEYS - 3 do
  local book = tonumber(ARGV[3 + (i - 1) * 3 + 2])
  local line = book > 0 and read_line(call('HGET', KEYS[3], i))
  if line then
    hold_more(line, book)
    line.amount = line.amount + book
    write_line(KEYS[3], i, line)
  end
end
call('HSET', KEYS[3], 'x', plain(number))
return { 'OK', now_ms }
