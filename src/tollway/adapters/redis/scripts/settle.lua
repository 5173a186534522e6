-- The end of a hold, once: settled with what was used, or void. KEYS: epoch, leases, record, a
-- counter for each line. ARGV: epoch, run, id, the hold's own epoch (empty: it was never in), S or V,
-- owner, segment and offset of its journal, how long the outcome is kept (s), then for each line:
-- kind, stop, bucket, used.
-- Answers OK, DONE with the outcome that stands, or LOST.
if moving() then return MOVING end
local since = epoch_since()
if not since then return { 'LOST', now_ms } end
local state = state_of(KEYS[3])
if state and state ~= 'R' and state ~= 'X' then return { 'DONE', now_ms, state } end
local outcome = ARGV[5]
local place = { owner = ARGV[6], segment = tonumber(ARGV[7]), offset = tonumber(ARGV[8]) }

-- A hold of this epoch without a record has ended, so long ago that its outcome is forgotten.
local gone = not state and outcome == 'S' and ARGV[4] == ARGV[1]
if gone then return { 'DONE', now_ms, 'S' } end

-- The record goes first: a counter that has to begin again sums what is still in.
local lines = {}
for i = 1, #KEYS - 3 do
  local at = 9 + (i - 1) * 4
  lines[i] = read_line(state and call('HGET', KEYS[3], i)) or {
    key = KEYS[3 + i], kind = ARGV[at + 1], stop = tonumber(ARGV[at + 2]),
    bucket = tonumber(ARGV[at + 3]), amount = 0, progress = 0,
  }
end
call('DEL', KEYS[3])
call('HSET', KEYS[3], 's', outcome)
call('EXPIRE', KEYS[3], ARGV[9])
call('ZREM', KEYS[2], ARGV[3])
for i, line in ipairs(lines) do
  if state == 'R' then
    hold_more(line, -line.amount)
  elseif state == 'X' then
    post(line, -line.progress, guess_of(ARGV[3]))
  end
  post(line, tonumber(ARGV[9 + i * 4]), place)
end
return { 'OK', now_ms }
