-- What every script shares: whole numbers, counters, records of holds, leases.
--
-- A counter is a hash: `e` its epoch, `s` 1 once it was seeded from the ledger, `x` who may seed it
-- once more, `f` and `fu` what processes elsewhere hold and until when (ms) that is believed;
-- `u:<bucket>` used and `h:<bucket>` held, by the second the bucket begins, 0 for what has no
-- buckets. `p:<bucket>:<owner>:<segment>:<offset>` is what was posted before it was seeded, by the
-- place in its owner's journal; `q:<owner>` the place up to which the seed has counted.
-- `d:<process>` since when (ms) what this process had used is a guess, `p:<bucket>:~<process>:0:1`:
-- it has gone silent, and only the ledger knows. With an `x` or a `d` posts are noted.
-- A record is a hash: `s` R (in), S (settled), V (void), X (expired), `e` the epoch in which it was
-- let in or put in again, and a line under its number.
-- KEYS[1] is the tag's epoch, KEYS[2] its leases, in every script that includes this.
local call = host.call
local BUCKET_S, MINUTE_S = 10, 70
local SKEW_S = 5
local MOST = 9007199254740992
local IDLE_S = 48 * 3600
local LATE_S = 24 * 3600
local WEEK_S = 7 * 86400
local REAP_AT_ONCE = 200

local time = call('TIME')
local now_s = tonumber(time[1])
local now_ms = now_s * 1000 + math.floor(tonumber(time[2]) / 1000)
local bucket_now = now_s - now_s % BUCKET_S

-- nil: not a whole number from 0 to 2^53. The text is looked at: as doubles 2^53 + 1 equals 2^53,
-- and every comparison with a NaN is false.
local function whole(text)
  if not text then return 0 end
  if #text > 16 or not string.find(text, '^%d+$') then return nil end
  if #text == 16 and text > '9007199254740992' then return nil end
  return tonumber(text)
end

local function plain(number)
  return string.format('%.0f', math.max(0, math.min(number, MOST)))
end

-- The second the tag's epoch began; nil: the data is not what the caller knew.
local function epoch_since()
  local found = call('HMGET', KEYS[1], 'id', 'run', 'at')
  if found[1] == ARGV[1] and found[2] == ARGV[2] then return whole(found[3]) end
  return nil
end

local function record_of(id)
  return string.gsub(KEYS[2], 'leases$', 'hold:') .. id
end

-- What became of a hold. One that was in when another epoch was is not known, unless it has ended.
local function state_of(record)
  local found = call('HMGET', record, 's', 'e')
  local runs = found[1] == 'R' or found[1] == 'X'
  return (not runs or found[2] == ARGV[1]) and found[1]
end

-- Are the keys on their way to another server of a cluster? Then only what is there can be changed,
-- and what a script makes or finds by itself may be elsewhere: the caller is to try again.
local MOVING = { err = 'TRYAGAIN the keys are being moved' }
local function moving()
  local found = ARGV[2] == 'cluster' and host.pcall('EXISTS', record_of(''))
  return type(found) == 'table' and found.err
end

local function lapsed(kind, bucket)
  return kind == 'm' and now_s >= bucket + MINUTE_S
end

local function keep(key, kind, stop)
  if kind == 'c' then
    call('EXPIREAT', key, plain(math.max(stop + WEEK_S, now_s + IDLE_S)))
  else
    call('EXPIRE', key, IDLE_S)
  end
end

local function fields_of(key)
  local flat = host.pcall('HGETALL', key)
  if flat.err then return nil end
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- How a counter stands. `poisoned`: something in it is not a number that we wrote.
local function look(key, kind)
  local found = { used = 0, held = 0, frees = 0, old = {} }
  local fields = fields_of(key)
  if not fields then found.poisoned = true return found end
  if fields.e ~= ARGV[1] then found.stale = true return found end
  found.seeded = fields.s == '1'
  for name, value in pairs(fields) do
    local what, bucket = string.match(name, '^([uh]):(%d+)$')
    if what then
      bucket = tonumber(bucket)
      local number = whole(value)
      if lapsed(kind, bucket) then
        found.old[#found.old + 1] = name
      elseif not number then
        found.poisoned = true
      else
        if what == 'u' then found.used = found.used + number
        else found.held = found.held + number end
        if number > 0 and kind == 'm' and (found.frees == 0 or bucket + MINUTE_S < found.frees) then
          found.frees = bucket + MINUTE_S
        end
      end
    elseif name == 'x' or string.find(name, '^d:') then
      found.doubted = true
    end
  end
  local foreign, believed = whole(fields.f), whole(fields.fu)
  if not foreign or not believed then found.poisoned = true
  elseif now_ms < believed then found.held = found.held + foreign end
  return found
end

-- Begin the counter in this epoch, if it has not.
local function enter(key, kind, stop, seeded)
  call('DEL', key)
  call('HSET', key, 'e', ARGV[1], 's', seeded and '1' or '0')
  keep(key, kind, stop)
end

local function add(key, field, amount)
  local number = whole(call('HGET', key, field))
  if number then call('HSET', key, field, plain(number + amount)) end
end

local function write_line(record, number, line)
  call('HSET', record, number, string.format('%s %.0f %.0f %.0f %.0f %s',
    line.kind, line.bucket, line.stop, line.amount, line.progress, line.key))
end

local function read_line(text)
  local kind, bucket, stop, amount, progress, key =
    string.match(text or '', '^(%a) (%d+) (%d+) (%d+) (%d+) (.+)$')
  if not kind then return nil end
  return { kind = kind, bucket = tonumber(bucket), stop = tonumber(stop),
    amount = tonumber(amount), progress = tonumber(progress), key = key }
end

-- Begin a poisoned counter again: what is held is known by the live holds, what was used is not.
local function mend(key, kind, stop)
  enter(key, kind, stop, false)
  local held = {}
  for _, id in ipairs(call('ZRANGE', KEYS[2], 0, -1)) do
    local fields = fields_of(record_of(id)) or {}
    for name, text in pairs(fields) do
      local line = tonumber(name) and read_line(text)
      if line and line.key == key and fields.e == ARGV[1] then
        held[line.bucket] = (held[line.bucket] or 0) + line.amount
      end
    end
  end
  for bucket, amount in pairs(held) do
    call('HSET', key, 'h:' .. plain(bucket), plain(amount))
  end
end

-- Is this place in a journal one that the seed has counted?
local function counted(upto, segment, offset)
  local upto_segment, upto_offset = string.match(upto or '', '^(%d+) (%d+)$')
  if not upto_segment then return false end
  upto_segment, upto_offset = tonumber(upto_segment), tonumber(upto_offset)
  return segment < upto_segment or (segment == upto_segment and offset <= upto_offset)
end

-- Book what was used. Before the seed is in it is noted with its place, for the seed to judge.
local function post(line, amount, place)
  if amount == 0 or lapsed(line.kind, line.bucket) then return end
  local key, bucket = line.key, plain(line.bucket)
  local found = host.pcall('HMGET', key, 'e', 's', 'x', 'q:' .. place.owner, 'u:' .. bucket)
  if found.err or (found[1] == ARGV[1] and not whole(found[5])) then
    mend(key, line.kind, line.stop)
    found = { ARGV[1], '0', false, false, false }
  elseif found[1] ~= ARGV[1] then
    enter(key, line.kind, line.stop, false)
    found = { ARGV[1], '0', false, false, false }
  end
  if counted(found[4], place.segment, place.offset) then return end
  if found[2] ~= '1' or found[3] then
    call('HINCRBY', key, 'p:' .. bucket .. ':' .. place.owner .. ':' .. plain(place.segment) .. ':'
      .. plain(place.offset), string.format('%.0f', amount))
  end
  if found[2] == '1' then add(key, 'u:' .. bucket, amount) end
end

-- Change what is held on a line, if its counter knows of it.
local function hold_more(line, amount)
  if amount == 0 or lapsed(line.kind, line.bucket) then return end
  local found = host.pcall('HGET', line.key, 'e')
  if found == ARGV[1] then add(line.key, 'h:' .. plain(line.bucket), amount) end
end

-- Where guesses of a process are noted. The id of a hold is that of its process and a number.
local function guess_of(id)
  local process = string.match(id, '^(.*)%-%d+$') or id
  return { owner = '~' .. process, segment = 0, offset = 1 }, process
end

-- Book what a silent process may have used, and that the ledger will know better.
local function guess(line, id)
  if line.kind == 'l' or lapsed(line.kind, line.bucket) then return end
  local place, process = guess_of(id)
  local found = host.pcall('HMGET', line.key, 'e', 'x')
  if found.err then mend(line.key, line.kind, line.stop)
  elseif found[1] ~= ARGV[1] then enter(line.key, line.kind, line.stop, false) end
  call('HDEL', line.key, 'q:' .. place.owner)
  call('HSET', line.key, 'd:' .. process, plain(now_ms))
  if found.err or not found[2] then call('HSET', line.key, 'x', '*') end
  post(line, line.progress, place)
end

-- Leases that were not renewed: book their last known progress in place of what they hold.
local function reap()
  local ids = call('ZRANGEBYSCORE', KEYS[2], '-inf', plain(now_ms), 'LIMIT', 0, REAP_AT_ONCE)
  for _, id in ipairs(ids) do
    local record = record_of(id)
    local fields = fields_of(record) or {}
    call('ZREM', KEYS[2], id)
    if fields.s == 'R' and fields.e == ARGV[1] then
      call('HSET', record, 's', 'X')
      call('EXPIRE', record, LATE_S)
      for name, text in pairs(fields) do
        local line = tonumber(name) and read_line(text)
        if line then
          hold_more(line, -line.amount)
          guess(line, id)
        end
      end
    end
  end
  return #ids
end
