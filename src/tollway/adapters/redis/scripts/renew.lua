-- Holds that still run: a new lease, and how far they are. KEYS: epoch, leases. ARGV: epoch, run,
-- lease (ms), then for each hold: id, how many lines, what each has used so far.
-- Answers OK and the numbers of those that are not known here, or LOST. One that had expired, since
-- its gateway stood still for a while, is in again.
if moving() then return MOVING end
if not epoch_since() then return { 'LOST', now_ms } end
local answer, at, number = { 'OK', now_ms }, 4, 0
while at <= #ARGV do
  local id, count = ARGV[at], tonumber(ARGV[at + 1])
  local record = record_of(id)
  number = number + 1
  local state = state_of(record)
  if state == 'R' or state == 'X' then
    for i = 1, count do
      local line = read_line(call('HGET', record, i))
      if line then
        if state == 'X' then
          post(line, -line.progress, guess_of(id))
          hold_more(line, line.amount)
        end
        line.progress = tonumber(ARGV[at + 1 + i])
        write_line(record, i, line)
      end
    end
    call('HSET', record, 's', 'R')
    call('EXPIRE', record, IDLE_S)
    call('ZADD', KEYS[2], plain(now_ms + tonumber(ARGV[3])), id)
  elseif not state then
    answer[#answer + 1] = number
  end
  at = at + 2 + count
end
return answer
