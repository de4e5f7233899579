-- Refresh: one connection per wrk thread, each following its own chain of rotated tokens.
-- The plan is that of requests.lua; its one request has the body without the token, its "token" lines are the seeds.

local plan = { addresses = {}, tokens = {} }
for line in io.lines(os.getenv("BENCH_PLAN")) do
  local cells = {}
  for cell in (line .. "\t"):gmatch("([^\t]*)\t") do cells[#cells + 1] = cell end
  if cells[1] == "host" then plan.host = cells[2]
  elseif cells[1] == "address" then plan.addresses[#plan.addresses + 1] = { cells[2], cells[3] }
  elseif cells[1] == "request" then plan.request = cells
  elseif cells[1] == "token" then plan.tokens[#plan.tokens + 1] = cells[2]
  end
end

local threads, count = {}, 0
function setup(thread)
  local address = plan.addresses[count % #plan.addresses + 1]
  thread.addr = wrk.lookup(address[1], address[2])[1]
  count = count + 1
  thread:set("token", plan.tokens[count])
  thread:set("broken", 0)
  threads[count] = thread
end

local headers = {}
function init()
  headers.Host = plan.host
  for name, value in plan.request[4]:gmatch("([^=|]+)=([^|]*)") do headers[name] = value end
end

function request()
  return wrk.format(plan.request[2], plan.request[3], headers, plan.request[5] .. token)
end

function response(status, _, body)
  local successor = body:match('"refresh_token"%s*:%s*"([^"]+)"')
  if status ~= 200 or not successor or successor == token or not body:find('"id_token"', 1, true) then
    broken = broken + 1
  else
    token = successor
  end
end

function done(summary, latency)
  local e, refused = summary.errors, 0
  for _, thread in ipairs(threads) do refused = refused + thread:get("broken") end
  io.write(string.format(
    'BENCH {"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    refused, e.connect + e.read + e.write + e.timeout))
end
