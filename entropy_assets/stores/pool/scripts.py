"""The Lua that runs inside the pool's server. Each script is one atomic step; its contract stands above it.

All three begin alike: the server's own clock, the server against the epoch that the pool remembers, and the expired ids
taken out, a bounded number per call. ``AGAIN`` says that there may be more of that work than fits into one call and
that *nothing else was done*, so the caller may call once more. An error that begins with ``NORUNID`` says that the
server hides who it is; nothing was done then. An id that leaves the pool gets a tombstone, and an id with a tombstone
can't enter. docs/never-twice.md argues this.

Numbers go to Redis through ``text``: Lua writes a number of more than 14 digits in exponent form.
"""

from typing import Final

_COMMON: Final = """
local ready, expiry, meta, tomb = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, tomb_ms, batch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The process, and which history its data has: a master that was a replica in between is the same process with the
-- state of another server, perhaps of before its own last leases. Whoever is promoted begins a new history.
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not process or not history then return redis.error_reply('NORUNID the server hides its run_id') end
local run_id = process .. '-' .. history
local epoch = redis.call('HGET', meta, 'epoch')

-- Scores in ready: the best band first, in it the soonest to expire. The largest is 11 * BAND, which is below 2^53
-- and so exact in the double that a score is.
local BAND = 1e14

local function text(number) return string.format('%.0f', number) end

local function count(what, blocks, bytes)
  redis.call('HINCRBY', meta, what .. '_blocks', text(blocks))
  redis.call('HINCRBY', meta, what .. '_bytes', text(bytes))
end

-- An entry of the two indexes is "<id>:<length>", so that bytes can be counted when the block itself is gone.
local function split(entry)
  local id, length = string.match(entry, '^(.*):(%d+)$')
  return id, tonumber(length)
end

-- Takes entries out of both indexes, buries their ids and returns ids and bytes. The removals come first: on a
-- server that is out of memory a script may add only after it has removed.
local function remove(entries)
  local ids, graves, bytes = {}, {}, 0
  for i, entry in ipairs(entries) do
    local id, length = split(entry)
    ids[i], bytes = id, bytes + length
    graves[2 * i - 1], graves[2 * i] = text(now + tomb_ms), id
  end
  if #entries > 0 then
    redis.call('ZREM', ready, unpack(entries))
    redis.call('ZREM', expiry, unpack(entries))
    redis.call('ZADD', tomb, unpack(graves))
    redis.call('HINCRBY', meta, 'bytes', text(-bytes))
  end
  return ids, bytes
end

-- Takes entries out for good, counted as what became of them.
local function drop(what, entries)
  local ids, bytes = remove(entries)
  for _, id in ipairs(ids) do redis.call('UNLINK', prefix .. id) end
  if #ids > 0 then count(what, #ids, bytes) end
  return #ids == batch
end

local function reap()
  local old = redis.call('ZRANGEBYSCORE', tomb, '-inf', text(now), 'LIMIT', 0, batch)
  if #old > 0 then redis.call('ZREM', tomb, unpack(old)) end
  return drop('expired', redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now), 'LIMIT', 0, batch))
end

-- Whether what is in the pool can't be told to have been pushed to this process: another epoch, or none beside blocks,
-- as when the key of the meta data was lost.
local function foreign() return epoch ~= run_id and (epoch or redis.call('ZCARD', ready) > 0) end

local function live() return redis.call('ZCARD', ready), tonumber(redis.call('HGET', meta, 'bytes') or 0) end
"""

# Push blocks.
#   KEYS    1 ready  2 expiry  3 meta  4 tomb  5.. the key of each block
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call  4 life of a block, ms
#           then per block: id, length in bytes, quality band (0..10), document
#   return  {'OK', outcome...} with 1 = pushed, 0 = already in the pool, -1 = was in the pool before; or {'AGAIN'}
# A pool that was filled on another server process is dropped first, counted as inherited; the other counters then
# begin again at zero, since they were those of another process, perhaps of an older moment.
PUSH: Final = (
    _COMMON
    + """
local ttl_ms = tonumber(ARGV[4])
if epoch ~= run_id then
  if drop('inherited', redis.call('ZRANGE', ready, 0, batch - 1)) then return {'AGAIN'} end
  local blocks = redis.call('HGET', meta, 'inherited_blocks') or '0'
  local bytes = redis.call('HGET', meta, 'inherited_bytes') or '0'
  redis.call('DEL', meta, expiry)
  redis.call('HSET', meta, 'epoch', run_id, 'since_ms', text(now), 'bytes', '0',
    'inherited_blocks', blocks, 'inherited_bytes', bytes)
end
if reap() then return {'AGAIN'} end

local expires = text(now + ttl_ms)
local reply = {'OK'}
for i = 5, #KEYS do
  local at = 4 * (i - 4)
  local id, length, band, document = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4]
  local entry = id .. ':' .. text(length)
  if redis.call('ZSCORE', tomb, id) then
    reply[#reply + 1] = -1
    count('refused', 1, length)
  elseif redis.call('EXISTS', KEYS[i]) == 1 or redis.call('ZSCORE', ready, entry) then
    reply[#reply + 1] = 0
    count('refused', 1, length)
  else
    redis.call('SET', KEYS[i], document, 'PXAT', expires)
    redis.call('ZADD', ready, text(band * BAND + BAND - 1 - (now + ttl_ms)), entry)
    redis.call('ZADD', expiry, expires, entry)
    redis.call('HINCRBY', meta, 'bytes', text(length))
    count('pushed', 1, length)
    reply[#reply + 1] = 1
  end
end
redis.call('HSET', meta, 'last_push_ms', text(now))
return reply
"""
)

# Lease blocks: from this reply on they belong to the caller, whether or not the reply arrives.
#   KEYS    1 ready  2 expiry  3 meta  4 tomb; a block's key is built here from the prefix, since no caller can know
#           which blocks are next (on a cluster a hash tag in the prefix keeps all of them on one node)
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call  4 blocks at most,
#           and no more than ARGV 3  5 bytes needed; 0 = whatever there is
#   return  {'OK', now in ms, blocks left, bytes left, then per block: id, expiry in ms, document};
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
local most, need = math.min(tonumber(ARGV[4]), batch), tonumber(ARGV[5])
local blocks, bytes = live()
if bytes < need then return {'SHORT', text(now), blocks, text(bytes)} end

local entries, reply, leased, leased_bytes = {}, {'OK', text(now), 0, 0}, 0, 0
-- A block that vanished takes nobody's place, but however many did, this call stays short.
while leased < most and #entries < most + batch and (need == 0 or leased_bytes < need) do
  local entry, score = unpack(redis.call('ZPOPMAX', ready))
  if not entry then break end
  entries[#entries + 1] = entry
  local id, length = split(entry)
  local document = redis.call('GETDEL', prefix .. id)
  if document then
    leased, leased_bytes = leased + 1, leased_bytes + length
    reply[#reply + 1] = id
    reply[#reply + 1] = text(BAND - 1 - score % BAND)
    reply[#reply + 1] = document
  end
end
local _, gone_bytes = remove(entries)
if leased < #entries then count('ghost', #entries - leased, gone_bytes - leased_bytes) end
if leased > 0 then
  count('leased', leased, leased_bytes)
  redis.call('HSET', meta, 'last_lease_ms', text(now))
end
blocks, bytes = live()
reply[3], reply[4] = blocks, text(bytes)
return reply
"""
)

# Survey the pool: the truth about it at this moment.
#   KEYS    1 ready  2 expiry  3 meta  4 tomb
#   ARGV    1 prefix of block keys  2 life of a tombstone, ms  3 ids handled per call
#   return  {'OK' or 'EPOCH', now in ms, run_id, blocks, tombstones, soonest expiry in ms or '', field, value, ...}
#           with the fields of meta; under EPOCH nothing was taken out and nothing may be leased; or {'AGAIN'}
SURVEY: Final = (
    _COMMON
    + """
local status = 'OK'
if foreign() then
  status = 'EPOCH'
elseif reap() then
  return {'AGAIN'}
end
local first = redis.call('ZRANGE', expiry, 0, 0, 'WITHSCORES')
local reply = {status, text(now), run_id, redis.call('ZCARD', ready), redis.call('ZCARD', tomb), first[2] or ''}
for _, word in ipairs(redis.call('HGETALL', meta)) do reply[#reply + 1] = word end
return reply
"""
)
