-- call, now, ttl, version, previous version, expires, kept, value, channel, message
if not old or not alive(ARGV[2]) then return answer('a') end
if version() == ARGV[4] then return answer('s') end
if version() ~= ARGV[5] then return answer('c') end
local kept = part(26, 33)
if number(ARGV[6]) > number(kept) then
  if ARGV[7] == '' then return answer('k') end
  kept = ARGV[7]
end
redis.call('SET', KEYS[1], part(1, 1) .. ARGV[4] .. ARGV[6] .. kept .. part(34, HEAD) .. ARGV[8], 'PX', ARGV[3])
changed(ARGV[9], ARGV[10])
return answer('d')
