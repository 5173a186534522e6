-- All lines or none. KEYS: epoch, leases, record, a counter for each line.
-- ARGV: epoch, run, id, lease (ms), adopt (1: a hold that was in before the data was lost), then for
-- each line: kind (c calendar, m minute, l leases only), start, stop, amount, book (-1: an
-- earlier line books on this counter), limit, shadow, fresh, progress, bucket (of an adopted one).
-- Answers OK, BOUND, SEED, WRONG, DONE or LOST, the server's time in ms, and what belongs to it.
local WIDTH = 10
local since = epoch_since()
if not since then return { 'LOST', now_ms } end
local state = state_of(KEYS[3])
if state then return { 'DONE', now_ms, state } end
local adopt = ARGV[5] == '1'
reap()

local lines = {}
for i = 1, #KEYS - 3 do
  local at = 5 + (i - 1) * WIDTH
  local line = {
    key = KEYS[3 + i], kind = ARGV[at + 1], start = tonumber(ARGV[at + 2]),
    stop = tonumber(ARGV[at + 3]), amount = tonumber(ARGV[at + 4]), book = tonumber(ARGV[at + 5]),
    limit = tonumber(ARGV[at + 6]), shadow = ARGV[at + 7] == '1', fresh = ARGV[at + 8] == '1',
    progress = tonumber(ARGV[at + 9]), bucket = 0,
  }
  if line.kind == 'm' then
    line.bucket = adopt and tonumber(ARGV[at + 10]) or bucket_now
  elseif line.kind == 'c' and not adopt then
    if now_s < line.start - SKEW_S or now_s >= line.stop + SKEW_S then
      return { 'WRONG', now_ms }
    end
  end
  lines[i] = line
end

-- A counter that is not there is 0 where nothing can have been counted before: the caller knows its
-- rule for as long as the window runs, and so long this data has not been lost.
local function from_s(line)
  if line.kind == 'm' then return bucket_now - (MINUTE_S - BUCKET_S) end
  return line.start
end

local wanted, bound = {}, nil
for i, line in ipairs(lines) do
  local found = look(line.key, line.kind)
  if found.poisoned then
    mend(line.key, line.kind, line.stop)
    found = look(line.key, line.kind)
    found.mended = true
  end
  line.found = found
  if line.kind == 'l' or (found.stale and line.fresh and since <= from_s(line)) then
    found.zero = found.stale or not found.seeded
    found.seeded = true
  end
  if found.seeded and found.doubted then found.want = 3 end
  if not found.seeded then
    found.want = found.mended and 2 or 1
    if not line.shadow then
      wanted[#wanted + 1] = i
      wanted[#wanted + 1] = found.want
    end
  elseif not (found.used + found.held + line.amount <= line.limit) and not line.shadow then
    bound = bound or i
  end
end
if not adopt then
  if #wanted > 0 then
    local answer = { 'SEED', now_ms }
    for i = 1, #wanted do answer[i + 2] = wanted[i] end
    return answer
  end
  if bound then
    local found = lines[bound].found
    return { 'BOUND', now_ms, bound, found.used, found.held, found.frees, found.want or 0 }
  end
end

local answer = { 'OK', now_ms }
for i, line in ipairs(lines) do
  local found = line.found
  if line.book >= 0 then
    if found.stale then
      if call('HGET', line.key, 'e') ~= ARGV[1] then
        enter(line.key, line.kind, line.stop, found.zero)
      end
    elseif line.kind ~= 'c' then
      for _, name in ipairs(found.old) do call('HDEL', line.key, name) end
      keep(line.key, line.kind, line.stop)
    end
    hold_more(line, line.book)
  end
  write_line(KEYS[3], i, { kind = line.kind, bucket = line.bucket, stop = line.stop,
    amount = math.max(0, line.book), progress = line.progress, key = line.key })
  answer[#answer + 1] = found.used
  answer[#answer + 1] = found.held
  answer[#answer + 1] = found.frees
  answer[#answer + 1] = line.bucket
  answer[#answer + 1] = found.want or 0
end
call('HSET', KEYS[3], 's', 'R', 'e', ARGV[1])
call('EXPIRE', KEYS[3], IDLE_S)
call('ZADD', KEYS[2], plain(now_ms + tonumber(ARGV[4])), ARGV[3])
return answer
