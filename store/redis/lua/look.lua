-- call. The record itself, or nothing, behind the name of the call.
return ARGV[1] .. (redis.call('GET', KEYS[1]) or '')
