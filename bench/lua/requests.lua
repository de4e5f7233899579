-- One request after the other from a list, in turn; each wrk thread talks to one address of the server.
--
-- Arguments: plan file (JSON lines are avoided: LuaJIT has no parser). Format of the plan, one line each:
--   host <TAB> value                  the Host header
--   address <TAB> host <TAB> port     one per process of the server
--   request <TAB> METHOD <TAB> path <TAB> header=value|header=value <TAB> body <TAB> process (its number, or * for any)
--   token <TAB> refresh token         (refresh.lua only) one per wrk thread

local plan = { addresses = {}, requests = {} }
for line in io.lines(os.getenv("BENCH_PLAN")) do
  local cells = {}
  for cell in (line .. "\t"):gmatch("([^\t]*)\t") do cells[#cells + 1] = cell end
  if cells[1] == "host" then plan.host = cells[2]
  elseif cells[1] == "address" then plan.addresses[#plan.addresses + 1] = { cells[2], cells[3] }
  elseif cells[1] == "request" then plan.requests[#plan.requests + 1] = cells
  end
end

local count = 0
function setup(thread)
  local address = plan.addresses[count % #plan.addresses + 1]
  thread.addr = wrk.lookup(address[1], address[2])[1]
  thread:set("number", count)
  thread:set("process", tostring(count % #plan.addresses))
  count = count + 1
end

local ready, turn = {}, 0
function init()
  for _, cells in ipairs(plan.requests) do
    if cells[6] == "*" or cells[6] == process then
      local headers = { Host = plan.host }
      for name, value in cells[4]:gmatch("([^=|]+)=([^|]*)") do headers[name] = value end
      local body = cells[5] ~= "" and cells[5] or nil
      ready[#ready + 1] = wrk.format(cells[2], cells[3], headers, body)
    end
  end
  turn = (number * 7919) % #ready
end

function request()
  turn = turn % #ready + 1
  return ready[turn]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
