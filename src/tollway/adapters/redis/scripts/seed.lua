-- What a counter had before, by the ledger: set once in an epoch, whoever asks. KEYS: epoch, leases,
-- counter. ARGV: epoch, run, kind, stop, held elsewhere, for how long (ms), who (empty: this is the last
-- word; else the same may seed once more), the asker, until when guesses are in the ledger (ms), how
-- many owners, (owner, segment, offset) up to which the ledger was counted, how many buckets,
-- (bucket, used). Answers OK with 1 if it was to be the last word and something has been guessed
-- since, KEPT with 1 if it is in doubt, or LOST.
if moving() then return MOVING end
if not epoch_since() then return { 'LOST', now_ms } end
local key, kind, stop, who = KEYS[3], ARGV[3], tonumber(ARGV[4]), ARGV[7]
local found = look(key, kind)
if found.poisoned then
  mend(key, kind, stop)
elseif found.stale then
  enter(key, kind, stop, false)
end
local fields = fields_of(key)
if fields.s == '1' and not (fields.x and (who == '' or fields.x == ARGV[8])) then
  return { 'KEPT', now_ms, fields.x and 1 or 0 }
end
for name in pairs(fields) do
  if string.find(name, '^u:') then call('HDEL', key, name) end
end

local at = 11
for _ = 1, tonumber(ARGV[10]) do
  fields['q:' .. ARGV[at]] = ARGV[at + 1] .. ' ' .. ARGV[at + 2]
  call('HSET', key, 'q:' .. ARGV[at], fields['q:' .. ARGV[at]])
  at = at + 3
end
local doubted, told = false, {}
for name, since in pairs(fields) do
  local process = string.match(name, '^d:(.*)$')
  if process and who == '' and tonumber(since) <= tonumber(ARGV[9]) then
    told[#told + 1] = process
  elseif process then
    doubted = true
  end
end
-- Not in the loop above: a table that gets a field while it is walked may skip others.
for _, process in ipairs(told) do
  call('HDEL', key, 'd:' .. process)
  call('HSET', key, 'q:~' .. process, '0 1')
  fields['q:~' .. process] = '0 1'
end
local used = {}
for i = at + 1, at + 2 * tonumber(ARGV[at]), 2 do
  -- A bucket ahead of ours is another clock's: it counts as the running one.
  local bucket = kind == 'm' and math.min(tonumber(ARGV[i]), bucket_now) or 0
  used[bucket] = (used[bucket] or 0) + tonumber(ARGV[i + 1])
end
for name, value in pairs(fields) do
  local bucket, owner, segment, offset = string.match(name, '^p:(%d+):([^:]+):(%d+):(%d+)$')
  if bucket then
    bucket = tonumber(bucket)
    local is_in = counted(fields['q:' .. owner], tonumber(segment), tonumber(offset))
    if not is_in then used[bucket] = (used[bucket] or 0) + tonumber(value) end
    if is_in or (who == '' and not doubted) then call('HDEL', key, name) end
  end
end
for bucket, amount in pairs(used) do
  if not lapsed(kind, bucket) then call('HSET', key, 'u:' .. plain(bucket), plain(amount)) end
end
call('HSET', key, 's', '1', 'f', ARGV[5], 'fu', plain(now_ms + tonumber(ARGV[6])))
if who ~= '' then call('HSET', key, 'x', who)
elseif doubted then call('HSET', key, 'x', '*')
else call('HDEL', key, 'x') end
return { 'OK', now_ms, who == '' and doubted and 1 or 0 }
