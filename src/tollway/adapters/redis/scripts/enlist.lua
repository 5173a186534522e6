-- A tag is used in an epoch for the first time, or was before: then its data must be there. KEYS:
-- registry. ARGV: epoch, run, tag. Answers OK with 1 for the first time, else 0; LOST: another epoch.
if host.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return { 'LOST' } end
return { 'OK', host.call('HSETNX', KEYS[1], 'tag:' .. ARGV[3], '1') }
