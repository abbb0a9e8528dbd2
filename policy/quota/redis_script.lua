-- Charges a batch of quotas in one step. Time is Redis' own.
--
-- KEYS  one for each item; a key may come again
-- ARGV  eight for each item:
--       op     "t" take, "o" take, and if refused all the same (overdraw),
--              "r" refund, "d" forget
--       group  items of one group are next to each other and take all or none; "0" is none
--       algo   "g" gcra: n tokens in p microseconds, b at once
--              "w" fixed window: n tokens in p microseconds
--       n p b  as above
--       want   tokens to take, or to give back
--       least  tokens that will do instead; a group's refusal is that of one item
--              with less than that. -1: refuses nobody (shadow). Of a refund to a
--              window: its end, so that another window gets nothing
-- Returns five integers for each item: tokens taken (or given back), tokens left,
-- microseconds until full (or the end of the window), microseconds until least
-- could be taken, and the end of the window as Redis' time.
--
-- A state is "until n": microseconds of the instant at which the key is full
-- again and the fraction of one in nth parts; of a window its end and what was
-- taken. All numbers are integers below 2^53, which doubles hold exactly; where
-- a product is not, it is rounded against the caller.
local EXACT = 9007199254740992
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local states, dirty = {}, {}

local function load(key)
  local s = states[key]
  if s then return s end
  local v = redis.pcall('GET', key)
  local u, n
  if type(v) == 'string' then u, n = string.match(v, '^(%d+) (%d+)$') end
  s = {tonumber(u) or 0, tonumber(n) or 0}
  states[key] = s
  return s
end

local function span(c, n, p)
  local x = c * p
  if x < EXACT then
    local f = x % n
    return (x - f) / n, f
  end
  return math.ceil(x / n) + 1, 0
end

-- Returns until, frac or taken, left.
local function look(s, w, n, p, b)
  if w then
    local until_, taken = s[1], s[2]
    if until_ <= now then
      until_, taken = now - now % p + p, 0
    elseif until_ - now > p then
      until_ = now - now % p + p
    end
    return until_, taken, math.max(n - taken, 0)
  end
  local debt, f = s[1] - now, math.min(s[2], n - 1)
  if debt < 0 then debt, f = 0, 0 end
  local full, ff = span(b, n, p)
  if debt > full or debt == full and f > ff then debt, f = full, ff end
  local x = (full - debt) * n + ff - f
  local left = math.floor(x / p)
  if x >= EXACT then left = left - 1 end
  return now + debt, f, math.max(math.min(left, b), 0)
end

local function move(until_, f, c, w, n, p)
  if w then return until_, f + c end
  local d, df = span(c, n, p)
  until_, f = until_ + d, f + df
  if f >= n then until_, f = until_ + 1, f - n end
  return until_, f
end

local function back(until_, f, c, w, n, p)
  if w then return until_, math.max(f - c, 0) end
  local d, df = span(c, n, p)
  until_, f = until_ - d, f - df
  if f < 0 then until_, f = until_ - 1, f + n end
  if until_ < now then return 0, 0 end
  return until_, f
end

local function wait(until_, f, least, w, n, p, b)
  if w then return until_ - now end
  local d, df = span(math.min(least, b), n, p)
  local full, ff = span(b, n, p)
  local us = until_ - now + d - full
  local part = f + df - ff
  if part > n then us = us + 2 elseif part > 0 then us = us + 1 end
  return math.max(us, 1)
end

local out = {}
local i, count = 1, #KEYS
while i <= count do
  local group = ARGV[(i - 1) * 8 + 2]
  local last = i
  if group ~= '0' then
    while last < count and ARGV[last * 8 + 2] == group do last = last + 1 end
  end
  local overlay, refused, taken = {}, false, {}
  for j = i, last do
    local a = (j - 1) * 8
    local key, op, w = KEYS[j], ARGV[a + 1], ARGV[a + 3] == 'w'
    local n, p, b = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
    local want, least = tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8])
    local u, f, left = look(overlay[key] or load(key), w, n, p, b)
    taken[j] = 0
    if op == 'd' then
      overlay[key] = {0, 0}
      taken[j] = 1
    elseif op == 'r' then
      if not w or u == least then
        u, f = back(u, f, want, w, n, p)
        overlay[key] = {u, f}
        taken[j] = want
      end
    else
      local shadow = least < 0
      if shadow then least = want end
      if left >= least and not (w and f > n) then
        local c = math.min(want, left)
        if c > 0 then
          u, f = move(u, f, c, w, n, p)
          overlay[key] = {u, f}
          taken[j] = c
        end
      elseif op == 'o' then
        if w then
          overlay[key] = {u, math.min(f, 2^41) + math.min(want, 2^41)}
        else
          local full, ff = span(b, n, p)
          overlay[key] = {now + full, ff}
        end
      elseif not shadow then
        refused = true
      end
    end
  end
  if not refused then
    for key, s in pairs(overlay) do states[key], dirty[key] = s, true end
  end
  for j = i, last do
    local a = (j - 1) * 8
    local w = ARGV[a + 3] == 'w'
    local n, p, b = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])
    local want, least = tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8])
    if least < 0 then least = want end
    if ARGV[a + 1] == 'r' or ARGV[a + 1] == 'd' then least = 0 end
    local u, f, left = look(load(KEYS[j]), w, n, p, b)
    local retry = 0
    if left < least or w and f > n then retry = wait(u, f, least, w, n, p, b) end
    if refused then taken[j] = 0 end
    local reset = u - now
    if not w and f > 0 then reset = reset + 1 end
    out[#out + 1] = taken[j]
    out[#out + 1] = left
    out[#out + 1] = math.max(reset, 0)
    out[#out + 1] = retry
    out[#out + 1] = w and u or 0
  end
  i = last + 1
end

for key in pairs(dirty) do
  local s = states[key]
  if s[1] < now or s[1] == now and s[2] == 0 then
    redis.call('DEL', key)
  else
    redis.call('SET', key, string.format('%.0f %.0f', s[1], s[2]), 'PX', string.format('%.0f', math.ceil((s[1] - now) / 1000) + 1))
  end
end
return out
