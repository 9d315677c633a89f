-- A gateway says that it lives, and is told how many calls to each system it may have under way.
--
-- KEYS: the members (by the end of their lease), their shares (by member, as JSON: what each needs and holds).
-- ARGV: the member, its lease and how long it is remembered behind that (ms), its channel, what it is told there, then
-- for each system: its name, the bound for the whole group, what this gateway needs, and what it holds.
-- Returns the number of members that live, then its share of each system.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local me = ARGV[1]
local function forget(from, to)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, to)) do
    redis.call('ZREM', KEYS[1], gone)
    redis.call('HDEL', KEYS[2], gone)
  end
end
forget('-inf', now - ARGV[3])
forget(now + 2 * ARGV[2], '+inf')  -- the clock was set back, and who is there says so again

local others, lease = {}, nil
local listed = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for index = 1, #listed, 2 do
  local member = listed[index]
  if member == me then
    lease = listed[index + 1]
  else
    local told = redis.call('HGET', KEYS[2], member)
    if told then others[#others + 1] = cjson.decode(told) end
  end
end

-- Who needs less than an even part has what it needs; the others have even parts of the rest, and of what is left over.
local function part(total, needs, mine)
  table.sort(needs)
  local left = total
  for index, need in ipairs(needs) do
    local even = left / (#needs - index + 1)
    if need > even then return math.min(mine, even) end
    left = left - need
  end
  return mine + left / #needs
end

local answer, held = {}, {}
for index = 6, #ARGV, 4 do
  local system, total = ARGV[index], tonumber(ARGV[index + 1])
  local need, holds = tonumber(ARGV[index + 2]), tonumber(ARGV[index + 3])
  local needs, free = {need}, total
  for _, other in ipairs(others) do
    if other[system] then
      needs[#needs + 1] = other[system][1]
      free = free - other[system][2]
    end
  end
  local share = math.floor(part(total, needs, need))
  if share > holds then share = math.max(holds, math.min(share, free)) end  -- more only of what nobody holds
  share = math.max(share, 1)
  answer[#answer + 1] = share
  held[system] = {need, math.max(holds, share)}
end

-- Whoever may not do all of it is a member no longer than before: writes would wait for one that cannot hear of them.
redis.call('HSET', KEYS[2], me, cjson.encode(held))
redis.call('ZADD', KEYS[1], now + ARGV[2], me)
local told = redis.pcall('PUBLISH', ARGV[4], ARGV[5])
if type(told) == 'table' and told.err then
  if lease then redis.call('ZADD', KEYS[1], lease, me) else redis.call('ZREM', KEYS[1], me) end
  return told
end
table.insert(answer, 1, redis.call('ZCOUNT', KEYS[1], now, '+inf'))
return answer
