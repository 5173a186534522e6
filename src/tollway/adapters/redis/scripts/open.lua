-- A tag's epoch is the registry's. KEYS: epoch. ARGV: epoch, run, 0 where it is to be there already.
-- Answers OK, or GONE: it was to be.
local found = host.call('HMGET', KEYS[1], 'id', 'run')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then
  if ARGV[3] == '0' then return { 'GONE' } end
  host.call('HSET', KEYS[1], 'id', ARGV[1], 'run', ARGV[2], 'at', host.call('TIME')[1])
end
return { 'OK' }
