-- A caller's token buckets: one of requests, one of upstream calls; full at first, filled evenly.
--
-- KEYS: the caller's buckets. ARGV: how many requests are wanted (0 or 1), then for each bucket: how much it holds (0:
-- there is none), how long it takes to fill (ms), and what was taken from it without asking.
-- Returns what each has left, before the request that is wanted: it is taken where each has one.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local kept = redis.call('HMGET', KEYS[1], 'at', 'requests', 'calls')
local passed = math.max(0, now - (tonumber(kept[1]) or now))  -- the clock may have been set back

local function left(number, most, window_ms, taken)
  local before = tonumber(kept[number]) or most
  return math.min(most, before + passed * most / window_ms) - taken
end

local most_requests, most_calls = tonumber(ARGV[2]), tonumber(ARGV[5])
local requests = left(2, most_requests, tonumber(ARGV[3]), tonumber(ARGV[4]))
local calls = left(3, most_calls, tonumber(ARGV[6]), tonumber(ARGV[7]))
local answer = {string.format('%.6f', requests), string.format('%.6f', calls)}
if (most_requests == 0 or requests >= 1) and (most_calls == 0 or calls >= 1) then
  if most_requests > 0 then requests = requests - tonumber(ARGV[1]) end
end
redis.call('HSET', KEYS[1], 'at', string.format('%.3f', now), 'requests', requests, 'calls', calls)
local longest = math.max(tonumber(ARGV[3]), tonumber(ARGV[6]))
local debt = math.max(1, -requests / math.max(most_requests, 1), -calls / math.max(most_calls, 1))
redis.call('PEXPIRE', KEYS[1], math.ceil(longest * (1 + debt)))
return answer
