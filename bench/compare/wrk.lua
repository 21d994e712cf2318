-- SPDX-License-Identifier: Apache-2.0
--
-- Arguments: a file with one token on each line, a file with the body, and the headers in
-- pairs. Each request bears the next token; with one token all requests are the same.
local requests, count, at = {}, 0, 0

function init(args)
	local file = assert(io.open(args[2], "rb"))
	local body = file:read("*a")
	file:close()
	local headers = {}
	for i = 3, #args - 1, 2 do
		headers[args[i]] = args[i + 1]
	end
	for token in io.lines(args[1]) do
		headers["Authorization"] = "Bearer " .. token
		count = count + 1
		requests[count] = wrk.format("POST", nil, headers, body)
	end
end

function request()
	at = at % count + 1
	return requests[at]
end

function done(summary, latency, _)
	local e = summary.errors
	io.write(string.format("result %d %d %d %d %d\n", summary.requests, summary.duration,
		latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
