-- The registry: the epoch of the server's data, which gateways there are, and which of them have not
-- yet put their live holds in again. KEYS: registry, owners, awaited. ARGV: run, the epoch there would
-- be, owner, the epoch it has joined (empty: none), how long others are awaited (ms), how long an
-- owner is believed (ms), force (an epoch that must end), the owners that the caller knew.
-- Answers the epoch, the time in ms, how many are awaited, and all owners.
local call = host.call
local time = call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local owner, joined = ARGV[3], ARGV[4]
local function plain(number) return string.format('%.0f', number) end

local found = call('HMGET', KEYS[1], 'id', 'run', 'until')
local id = found[1]
local waits_until = tonumber(found[3] or '0') or 0
if not id or found[2] ~= ARGV[1] or id == ARGV[7] then
  id = ARGV[2]
  waits_until = now_ms + tonumber(ARGV[5])
  call('DEL', KEYS[1], KEYS[3])
  call('HSET', KEYS[1], 'id', id, 'run', ARGV[1], 'until', plain(waits_until))
  for i = 8, #ARGV do
    if ARGV[i] ~= owner then call('SADD', KEYS[3], ARGV[i]) end
  end
end
call('ZADD', KEYS[2], plain(now_ms), owner)
call('ZREMRANGEBYSCORE', KEYS[2], '-inf', plain(now_ms - tonumber(ARGV[6])))
if joined == id then call('SREM', KEYS[3], owner) end
if not (now_ms < waits_until) then call('DEL', KEYS[3]) end
local answer = { id, now_ms, call('SCARD', KEYS[3]) }
for _, one in ipairs(call('ZRANGE', KEYS[2], 0, 999)) do answer[#answer + 1] = one end
return answer
