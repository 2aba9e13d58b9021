-- Takes from several counters at once, or from none. Redis runs a script whole or not at all, and hands it to its log
-- and its replicas as one transaction: a counter without an expiry cannot come of it, whatever is killed when.
--
-- KEYS: the counters. ARGV: 1 to take or 0 to look, then limit and window in milliseconds for each counter.
-- Answer: 1 or 0 for refused, how many milliseconds the refusal lasts, then count and rest in milliseconds of each.
local taking = ARGV[1] == '1'
local refused, wait = 0, 0
local answer = {}

local function rest(key, window)
  local left = redis.call('PTTL', key)
  if left == -1 then
    redis.call('PEXPIRE', key, window)
    left = window
  end
  return math.max(left, 1)
end

for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local count = tonumber(redis.call('GET', key) or '0')
  local left = window
  if count > 0 then left = rest(key, window) end
  if count >= limit then
    refused, wait = 1, math.max(wait, left)
  end
  answer[2 * i - 1], answer[2 * i] = count, left
end

if taking and refused == 0 then
  for i, key in ipairs(KEYS) do
    answer[2 * i - 1] = redis.call('INCR', key)
    answer[2 * i] = rest(key, tonumber(ARGV[2 * i + 1]))
  end
end
return {refused, wait, unpack(answer)}
