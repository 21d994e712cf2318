-- What the scripts below have in common. KEYS[1] is a record; its layout is in record.go.
-- ARGV[1] names the call and begins every answer, so that an answer to another call is
-- noticed; a letter says what happened, and the head of the record that was there follows.
local HEAD = 129
local old = redis.call('GET', KEYS[1])
if old and (#old < HEAD or string.byte(old, 1) ~= 1) then return ARGV[1] .. 'n' end

local function part(first, last) return string.sub(old, first, last) end
local function version() return part(2, 17) end
local function number(bytes)
  local n = 0
  for i = 1, #bytes do n = n * 256 + string.byte(bytes, i) end
  return n
end
local function alive(now) return tonumber(now) < number(part(18, 25)) end
local function answer(letter) return ARGV[1] .. letter .. (old and part(1, HEAD) or '') end
-- Who may not publish may still write.
local function changed(channel, message)
  if channel ~= '' then redis.pcall('PUBLISH', channel, message) end
end
