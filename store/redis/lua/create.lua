-- call, now, ttl, version, record, channel, message
if old then
  if version() == ARGV[4] then return answer('s') end
  if alive(ARGV[2]) then return answer('e') end
end
redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[3])
changed(ARGV[6], ARGV[7])
return answer('d')
