-- The same rules as operation.rs and rows.rs: one suite holds all kinds of store to them.
local bound = tonumber(ARGV[3])
local LARGEST = '18446744073709551615'
-- See SWEPT in rows.rs.
local SWEPT = 2

local function remove(key)
  redis.call('DEL', prefix .. key)
  redis.call('ZREM', order, key)
  redis.call('ZREM', ends, key)
end

local function make_room()
  if not bound then
    return
  end
  while redis.call('ZCARD', order) >= math.max(bound, 1) do
    remove(redis.call('ZRANGE', order, 0, 0)[1])
  end
end

-- The indexes end with the last entry where all entries end, so that nothing is left of a consumer
-- that is no more.
local function let_indexes_live(left)
  if not left then
    redis.call('PERSIST', order)
    redis.call('PERSIST', ends)
    return
  end
  local lives = redis.call('PTTL', order)
  if redis.call('ZCARD', order) == 1 or (lives >= 0 and lives < left) then
    redis.call('PEXPIRE', order, digits(left))
    redis.call('PEXPIRE', ends, digits(left))
  end
end

local function put(key, entry, value, ending)
  local number
  if entry then
    number = entry.number
  else
    -- The server may have let the entry itself go already.
    remove(key)
    make_room()
    number = redis.call('INCR', last)
  end
  local raw = digits(number) .. ' ' .. (ending and digits(ending) or '') .. ' ' .. value
  local left = ending and math.max(ending - now, 1)
  if left and not told then
    redis.call('SET', prefix .. key, raw, 'PX', digits(left))
  else
    redis.call('SET', prefix .. key, raw)
  end
  redis.call('ZADD', order, digits(number), key)
  if ending then
    redis.call('ZADD', ends, digits(ending), key)
  else
    redis.call('ZREM', ends, key)
  end
  if not told then
    let_indexes_live(left)
  end
end

-- The sum of two numbers in decimal digits: Lua's own are exact up to 2^53 alone.
local function sum(there, by)
  local one = string.match(there or '0', '^%+?(%d+)$')
  if not one then
    return nil
  end
  local a, b = string.reverse(one), string.reverse(by)
  local total, carry = {}, 0
  for at = 1, math.max(#a, #b) do
    local digit = (tonumber(string.sub(a, at, at)) or 0) + (tonumber(string.sub(b, at, at)) or 0) + carry
    total[at] = digit % 10
    carry = math.floor(digit / 10)
  end
  total[#total + 1] = carry
  local text = string.match(string.reverse(table.concat(total)), '^0*(%d+)$')
  if #text > #LARGEST or (#text == #LARGEST and text > LARGEST) then
    return nil
  end
  return text
end

local function carry_out(key, operation, expected, value, lives)
  for _, ended in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', digits(now), 'LIMIT', 0, SWEPT)) do
    remove(ended)
  end
  local entry = standing(key)
  local there = entry and ('=' .. entry.value) or ''
  local ending = lives ~= '' and now + tonumber(lives) or nil
  if operation == 'increment' then
    local counted = sum(entry and entry.value, value)
    if counted then
      put(key, entry, counted, entry and entry.ends)
      return 'counted ' .. counted
    end
  elseif operation == 'delete' or (operation == 'delete-if' and entry and there == expected) then
    remove(key)
    return 'done'
  elseif operation == 'set'
    or (operation == 'claim' and not entry)
    or (operation == 'swap' and there == expected) then
    put(key, entry, value, ending)
    return 'done'
  end
  return 'refused ' .. there
end

local answers = {}
for at = 4, #ARGV, 5 do
  local answer = carry_out(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
  answers[#answers + 1] = answer
end
return answers
