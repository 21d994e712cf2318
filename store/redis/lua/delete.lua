-- call, now, previous version or nothing, channel, message
if not old then return answer('a') end
if ARGV[3] ~= '' and version() ~= ARGV[3] and alive(ARGV[2]) then return answer('c') end
redis.call('DEL', KEYS[1])
changed(ARGV[4], ARGV[5])
return answer('d')
