"""The Lua that runs inside the pool's server. Each script is one atomic step; its contract stands above it.

Push, lease and survey begin alike: the server's own clock, the server against the epoch that the pool remembers, and
the expired ids taken out, a bounded number per call. ``AGAIN`` says that there may be more of that work than fits into
one call and that *nothing else was done*, so the caller may call once more. An error that begins with ``NORUNID`` says
that the server hides who it is; nothing was done then. An id gets a tombstone as it enters, and an id with a
tombstone can't enter; so who may not push needs no leave to write one. docs/never-twice.md argues this.

A block is in one lane from its push on; each lane has an index of ready blocks of its own. A public block that was
leased is *open* until its worker says that it is closed, at the latest until it expires: then it can't be served any
more, and reveals.

Numbers go to Redis through ``text``: Lua writes a number of more than 14 digits in exponent form.
"""

from typing import Final

_COMMON: Final = """
local ready = {public = KEYS[1], private = KEYS[2]}
local expiry, meta, tomb, open = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local prefix, tomb_ms, batch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The process, and which history its data has: a master that was a replica in between is the same process with the
-- state of another server, perhaps of before its own last leases. Whoever is promoted begins a new history.
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not process or not history then return redis.error_reply('NORUNID the server hides its run_id') end
-- The last part names how the keys are laid out: a pool of another layout is one of another server.
local run_id = process .. '-' .. history .. '-lanes'
local epoch = redis.call('HGET', meta, 'epoch')

-- Scores in ready: the best band first, in it the soonest to expire. The largest is 11 * BAND, which is below 2^53
-- and so exact in the double that a score is.
local BAND = 1e14

local function text(number) return string.format('%.0f', number) end

local function count(what, blocks, bytes)
  if blocks == 0 then return end
  redis.call('HINCRBY', meta, what .. '_blocks', text(blocks))
  redis.call('HINCRBY', meta, what .. '_bytes', text(bytes))
end

-- An entry of the indexes is "<id>:<length>:<lane>", so that bytes can be counted when the block itself is gone.
local function split(entry)
  local id, length, lane = string.match(entry, '^(.*):(%d+):(%a+)$')
  return id, tonumber(length), lane
end

-- Takes entries out of the indexes and returns ids, and blocks and bytes of each lane. The removals come first: on a
-- server that is out of memory a script may add only after it has removed.
local function remove(entries)
  local ids, of = {}, {public = {0, 0}, private = {0, 0}}
  for i, entry in ipairs(entries) do
    local id, length, lane = split(entry)
    ids[i], of[lane] = id, {of[lane][1] + 1, of[lane][2] + length}
  end
  if #entries > 0 then
    for lane, key in pairs(ready) do
      redis.call('ZREM', key, unpack(entries))
      if of[lane][2] > 0 then redis.call('HINCRBY', meta, lane .. '_bytes', text(-of[lane][2])) end
    end
    redis.call('ZREM', expiry, unpack(entries))
  end
  return ids, of
end

-- Takes entries out for good, counted as what became of them.
local function drop(what, entries)
  local ids, of = remove(entries)
  for _, id in ipairs(ids) do redis.call('UNLINK', prefix .. id) end
  for lane, sums in pairs(of) do count(lane .. '_' .. what, sums[1], sums[2]) end
  return #ids == batch
end

local function forget(index, ended_ms)
  local old = redis.call('ZRANGEBYSCORE', index, '-inf', text(ended_ms), 'LIMIT', 0, batch)
  if #old > 0 then redis.call('ZREM', index, unpack(old)) end
end

local function reap()
  -- Later than its tombstone: a clock that was ahead for a while must not leave a block that counts as gone.
  forget(open, now - 2 * tomb_ms)
  return drop('expired', redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now), 'LIMIT', 0, batch))
end

local function ready_blocks() return redis.call('ZCARD', ready.public) + redis.call('ZCARD', ready.private) end

-- Whether what is in the pool can't be told to have been pushed to this process: another epoch, or none beside blocks,
-- as when the key of the meta data was lost.
local function foreign() return epoch ~= run_id and (epoch or ready_blocks() > 0) end

local function live(lane)
  return redis.call('ZCARD', ready[lane]), tonumber(redis.call('HGET', meta, lane .. '_bytes') or 0)
end
"""

# Push blocks.
#   KEYS    1 ready, public  2 ready, private  3 expiry  4 meta  5 tomb  6 open  7.. the key of each block
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call  4 life of a block, ms
#           5 when each expires at the latest, ms by this server's clock; 0 = nobody says
#           then per block: id, length in bytes, lane, quality band (0..10), document
#   return  {'OK', outcome...} with 1 = pushed, 0 = already in the pool, -1 = was in the pool before, -2 = too late;
#           or {'AGAIN'}
# A pool that was filled on another server process is dropped first, counted as inherited; the other counters then
# begin again at zero, since they were those of another process, perhaps of an older moment. A worker may hold a public
# block that this older moment shows as ready, so each counts as open until it expires. A push of no blocks does this,
# and takes out what has expired.
PUSH: Final = (
    _COMMON
    + """
local ttl_ms = tonumber(ARGV[4])
if epoch ~= run_id then
  for lane, key in pairs(ready) do
    local entries = redis.call('ZRANGE', key, 0, batch - 1)
    local opened = {}
    for _, entry in ipairs(lane == 'public' and entries or {}) do
      local expires = redis.call('ZSCORE', expiry, entry)
      if expires then opened[#opened + 1], opened[#opened + 2] = expires, (split(entry)) end
    end
    -- Added after the removals: see `remove`.
    local is_more = drop('inherited', entries)
    if #opened > 0 then redis.call('ZADD', open, unpack(opened)) end
    if is_more then return {'AGAIN'} end
  end
  local fresh = {'epoch', run_id, 'since_ms', text(now)}
  for lane in pairs(ready) do
    for _, unit in ipairs({'_inherited_blocks', '_inherited_bytes'}) do
      fresh[#fresh + 1] = lane .. unit
      fresh[#fresh + 1] = redis.call('HGET', meta, lane .. unit) or '0'
    end
  end
  redis.call('DEL', meta, expiry)
  redis.call('HSET', meta, unpack(fresh))
end
if reap() then return {'AGAIN'} end
forget(tomb, now)

-- A push that lay in a frozen server's buffer must not give its blocks a whole life from then on.
local expires_ms, latest_ms = now + ttl_ms, tonumber(ARGV[5])
if latest_ms > 0 then expires_ms = math.min(expires_ms, latest_ms) end
local expires, forgotten = text(expires_ms), text(expires_ms + tomb_ms)
local reply = {'OK'}
for i = 7, #KEYS do
  local at = 5 + 5 * (i - 7)
  local id, length, lane = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local band, document = tonumber(ARGV[at + 4]), ARGV[at + 5]
  local entry, other = id .. ':' .. text(length) .. ':', lane == 'public' and 'private' or 'public'
  if redis.call('EXISTS', KEYS[i]) == 1 or redis.call('ZSCORE', ready[lane], entry .. lane)
    or redis.call('ZSCORE', ready[other], entry .. other) then
    reply[#reply + 1] = 0
    count(lane .. '_refused', 1, length)
  elseif redis.call('ZSCORE', tomb, id) then
    reply[#reply + 1] = -1
    count(lane .. '_refused', 1, length)
  elseif expires_ms <= now then
    reply[#reply + 1] = -2
    count(lane .. '_refused', 1, length)
  else
    redis.call('ZADD', tomb, forgotten, id)
    redis.call('SET', KEYS[i], document, 'PXAT', expires)
    redis.call('ZADD', ready[lane], text(band * BAND + BAND - 1 - expires_ms), entry .. lane)
    redis.call('ZADD', expiry, expires, entry .. lane)
    redis.call('HINCRBY', meta, lane .. '_bytes', text(length))
    count(lane .. '_pushed', 1, length)
    reply[#reply + 1] = 1
  end
end
if #KEYS > 6 then redis.call('HSET', meta, 'last_push_ms', text(now)) end
return reply
"""
)

# Lease blocks: from this reply on they belong to the caller, whether or not the reply arrives.
#   KEYS    1 to 6 as above; a block's key is built here from the prefix, since no caller can know
#           which blocks are next (on a cluster a hash tag in the prefix keeps all of them on one node)
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call  4 lane  5 blocks at most,
#           and no more than ARGV 3  6 bytes needed; 0 = whatever there is
#   return  {'OK', now in ms, blocks left, bytes left, then per block: id, expiry in ms, document}, left in this lane;
#           {'SHORT', now, blocks, bytes} and nothing leased if fewer than the needed bytes are ready;
#           {'EPOCH', run_id, epoch or ''} and nothing leased if the pool was filled on another server process, or
#           holds blocks and no epoch;
#           or {'AGAIN'}
LEASE: Final = (
    _COMMON
    + """
if foreign() then return {'EPOCH', run_id, epoch or ''} end
if reap() then return {'AGAIN'} end
-- Lua takes no more than some thousands of arguments at once, and what was popped by then would be lost uncounted.
local lane, most, need = ARGV[4], math.min(tonumber(ARGV[5]), batch), tonumber(ARGV[6])
local blocks, bytes = live(lane)
if bytes < need then return {'SHORT', text(now), blocks, text(bytes)} end

local entries, opened, reply, leased, leased_bytes = {}, {}, {'OK', text(now), 0, 0}, 0, 0
-- A block that vanished takes nobody's place, but however many did, this call stays short.
while leased < most and #entries < most + batch and (need == 0 or leased_bytes < need) do
  local entry, score = unpack(redis.call('ZPOPMAX', ready[lane]))
  if not entry then break end
  entries[#entries + 1] = entry
  local id, length = split(entry)
  local document = redis.call('GETDEL', prefix .. id)
  if document then
    leased, leased_bytes = leased + 1, leased_bytes + length
    local expires = text(BAND - 1 - score % BAND)
    reply[#reply + 1] = id
    reply[#reply + 1] = expires
    reply[#reply + 1] = document
    opened[2 * leased - 1], opened[2 * leased] = expires, id
  end
end
local _, gone = remove(entries)
count(lane .. '_ghost', #entries - leased, gone[lane][2] - leased_bytes)
count(lane .. '_leased', leased, leased_bytes)
if leased > 0 then redis.call('HSET', meta, 'last_lease_ms', text(now)) end
if leased > 0 and lane == 'public' then redis.call('ZADD', open, unpack(opened)) end
blocks, bytes = live(lane)
reply[3], reply[4] = blocks, text(bytes)
return reply
"""
)

# Survey the pool: the truth about it at this moment.
#   KEYS    1 to 6 as above
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call
#   return  {'OK' or 'EPOCH', now in ms, run_id, public blocks, private blocks, tombstones, soonest expiry in ms or '',
#           field, value, ...} with the fields of meta; under EPOCH nothing was taken out and nothing may be leased;
#           or {'AGAIN'}
# A caller that may take nothing out takes nothing out; what it counts may then hold some that have expired.
SURVEY: Final = (
    _COMMON
    + """
local status = 'OK'
if foreign() then
  status = 'EPOCH'
elseif (not redis.acl_check_cmd or redis.acl_check_cmd('ZREM', expiry, '')) and reap() then
  return {'AGAIN'}
end
local first = redis.call('ZRANGE', expiry, 0, 0, 'WITHSCORES')
local reply = {status, text(now), run_id, redis.call('ZCARD', ready.public), redis.call('ZCARD', ready.private),
  math.max(0, redis.call('ZCOUNT', tomb, text(now), '+inf') - ready_blocks()), first[2] or ''}
for _, word in ipairs(redis.call('HGETALL', meta)) do reply[#reply + 1] = word end
return reply
"""
)

# Tell what became of leased public blocks.
#   KEYS    1 to 6 as above
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call  4 how many were begun
#           then per begun block: id, ms from now after which it can't be served; then the ids of closed ones
#   return  one word, OK; it is always done
# A begun block is open no longer than that, and never longer than before; a closed one is open no more.
CLOSE: Final = (
    _COMMON
    + """
local begun = tonumber(ARGV[4])
-- The removals come first, one of nobody among them: see `remove`.
redis.call('ZREM', open, '')
for i = 5 + 2 * begun, #ARGV do redis.call('ZREM', open, ARGV[i]) end
for i = 5, 4 + 2 * begun, 2 do
  local until_ms, before = now + tonumber(ARGV[i + 1]), redis.call('ZSCORE', open, ARGV[i])
  if before and until_ms < tonumber(before) then redis.call('ZADD', open, text(until_ms), ARGV[i]) end
end
return {'OK'}
"""
)

# Tell where a block is.
#   KEYS    1 to 6 as above
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call  4 id
#   return  {'OPEN', now in ms, ms until it can't be served any more}, for a public block that was leased;
#           {'GONE', now} if it can't be served any more; {'READY', now, ms until it expires};
#           {'UNKNOWN', now} if it was never here, or so long ago that its tombstone is gone, or if the server lost
#           what it knew
FATE: Final = (
    _COMMON
    + """
local id = ARGV[4]
local closes, buried = redis.call('ZSCORE', open, id), redis.call('ZSCORE', tomb, id)
if closes and tonumber(closes) > now then return {'OPEN', text(now), text(tonumber(closes) - now)} end
local life_ms = redis.call('PTTL', prefix .. id)
if life_ms > 0 then return {'READY', text(now), text(life_ms)} end
if buried and tonumber(buried) > now then return {'GONE', text(now)} end
return {'UNKNOWN', text(now)}
"""
)
