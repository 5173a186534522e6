-- The registry: the epoch of the server's data, which gateways there are, which of them have not
-- yet put their live holds in again, and how far each has come. KEYS: registry, owners, awaited,
-- facts. ARGV: the runs of the servers that have the data, the epoch there would be, owner, the epoch
-- it has joined (empty: none; "left": it goes), how long others are awaited (ms), how long an owner
-- is believed (ms), an epoch that must end, its journal, when its oldest request was admitted (s or
-- -), segment and offset of the journal's end, the journals that nobody goes on with, the owners that
-- the caller knew.
-- Answers the epoch, the time in ms, how many are awaited, how many are away for longer than that
-- (neither they nor who goes on with their journals came back), how many owners, these, how many
-- beats there were, and for each journal its name and what was said of it.
local call = host.call
local time = call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local owner, joined, journal = ARGV[3], ARGV[4], ARGV[8]
local WEEK_MS = 7 * 86400000
local KNOWN = 4096
local function plain(number) return string.format('%.0f', number) end

local found = call('HMGET', KEYS[1], 'id', 'run', 'until')
local id = found[1]
local waits_until = tonumber(found[3] or '0') or 0
local known = found[2] or ''
local is_other = false
for run in string.gmatch(ARGV[1], '%S+') do
  is_other = is_other or not string.find(known, run, 1, true)
end

-- The first counters of an epoch are set when somebody has come; of a journal that nobody knew of
-- then, what it has brought into the ledger since would be missing.
local function is_late()
  if joined ~= id or ARGV[10] .. ARGV[11] == '00' then return false end
  local known = call('HMGET', KEYS[1], 'in:' .. journal, 'at:' .. journal)
  if known[1] or known[2] then return false end
  for _, one in ipairs(call('SMEMBERS', KEYS[3])) do
    if string.match(one, '^(.*)~') == journal then return false end
  end
  return true
end

if not id or is_other or id == ARGV[7] or is_late() then
  id = ARGV[2]
  waits_until = now_ms + tonumber(ARGV[5])
  call('DEL', KEYS[1], KEYS[3], KEYS[4])
  -- Whoever has not yet noticed says what was: of that no new epoch comes.
  known = string.sub(ARGV[1] .. ' ' .. known, 1, KNOWN)
  call('HSET', KEYS[1], 'id', id, 'run', known, 'until', plain(waits_until))
  local believed = call('ZRANGEBYSCORE', KEYS[2], plain(now_ms - tonumber(ARGV[6])), '+inf')
  for _, one in ipairs(believed) do
    if one ~= owner then call('SADD', KEYS[3], one) end
  end
end
if not call('HGET', KEYS[1], 'come') then call('HSET', KEYS[1], 'at:' .. journal, '1') end
call('ZADD', KEYS[2], plain(now_ms), owner)
call('ZREMRANGEBYSCORE', KEYS[2], '-inf', plain(now_ms - tonumber(ARGV[6])))
if joined == 'left' then call('ZREM', KEYS[2], owner) end
local over = {}
for source in string.gmatch(ARGV[12], '%S+') do over[source] = true end
if joined == id or joined == 'left' then
  over[journal] = true
  call('HSET', KEYS[1], 'in:' .. journal, '1', 'come', '1')
else
  -- Who comes from an epoch before may know others that this one has not heard of: the first that
  -- came here may have been new.
  for i = 13, #ARGV do
    local source = string.match(ARGV[i], '^(.*)~')
    if ARGV[i] ~= owner and not (source and call('HGET', KEYS[1], 'in:' .. source)) then
      call('SADD', KEYS[3], ARGV[i])
    end
  end
end
for _, one in ipairs(call('SMEMBERS', KEYS[3])) do
  if over[string.match(one, '^(.*)~')] then call('SREM', KEYS[3], one) end
end
local awaited, absent = call('SCARD', KEYS[3]), 0
if not (now_ms < waits_until) then awaited, absent = 0, awaited end
local beats = call('HINCRBY', KEYS[1], 'beats', 1)
call('HSET', KEYS[4], journal, table.concat({ plain(beats), plain(now_ms),
  joined == 'left' and '1' or '0', ARGV[9], ARGV[10], ARGV[11] }, ' '))

local owners = call('ZRANGE', KEYS[2], 0, 999)
-- Who is awaited is told to everybody, or the next loss would forget it.
local listed = {}
for _, one in ipairs(owners) do listed[one] = true end
for _, one in ipairs(call('SMEMBERS', KEYS[3])) do
  if not listed[one] then owners[#owners + 1] = one end
end
local answer = { id, now_ms, awaited, absent, #owners }
for _, one in ipairs(owners) do answer[#answer + 1] = one end
answer[#answer + 1] = beats
local facts = call('HGETALL', KEYS[4])
for i = 1, #facts, 2 do
  local at_ms = tonumber(string.match(facts[i + 1], '^%d+ (%d+)'))
  if at_ms + WEEK_MS < now_ms then
    call('HDEL', KEYS[4], facts[i])
  else
    answer[#answer + 1] = facts[i]
    answer[#answer + 1] = facts[i + 1]
  end
end
return answer
