-- Asks for numbers as orders.py says, stops asking after some seconds, and waits for every answer.
--
-- wrk drops what is in flight when its time is up. Here a connection is parked before that: an empty request is
-- written at once and never answered, so the connection rests and costs nothing. All requests that were sent are
-- then answered, and the answers can be compared with the table row by row. A thread whose connections are all
-- parked says so on stderr, and the caller ends wrk with SIGINT when it has heard of every thread.
--
-- usage: wrk ... -s load.lua <url> -- <orders file> <seconds> <repeated|fresh> <addresses> <connections of each thread>

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } timespec;
  int clock_gettime(int clock, timespec *now);
]]
local clock = ffi.new("timespec")
local MONOTONIC = 1

local function now()
  ffi.C.clock_gettime(MONOTONIC, clock)
  return tonumber(clock.seconds) + tonumber(clock.nanoseconds) / 1e9
end

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("thread_number", #threads)
end

function init(args)
  local file = assert(io.open(args[1]))
  local counts = {file:read("*n", "*n", "*n")}
  file:read("*l")
  routes, customers, draw_routes, draw_customers = {}, {}, {}, {}
  for i = 1, counts[1] do routes[i] = file:read("*l") end
  for i = 1, counts[2] do customers[i] = file:read("*l") end
  for i = 1, counts[3] do draw_routes[i], draw_customers[i] = file:read("*n", "*n") end
  file:close()
  draws = counts[3]
  seconds = tonumber(args[2])
  fresh = args[3] == "fresh"
  addresses = tonumber(args[4])
  busy = tonumber(args[5])
  math.randomseed(20261122 + thread_number)
  -- wrk builds one request of the first thread to look at its syntax, and never sends it.
  sent = thread_number == 1 and -1 or 0
end

function request()
  local moment = now()
  if sent > 0 then
    if moment >= stop then
      finished = moment
      busy = busy - 1
      if busy == 0 then
        io.stderr:write("drained\n")
        wrk.thread:stop()
      end
      return ""
    end
  elseif sent == 0 then
    started = moment
    stop = moment + seconds
  end
  sent = sent + 1
  local draw = math.random(draws)
  local customer = customers[draw_customers[draw]]
  if fresh then
    local name = string.format("%d%07d", thread_number, sent)
    customer = string.format("customer_id=%08x-%04x-4%03x-a%03x-%04x%08x&customer_name=Customer%%20%s&customer_slug=customer-%s",
      math.random(0, 0x7fffffff), math.random(0, 0xffff), math.random(0, 0xfff), math.random(0, 0xfff),
      math.random(0, 0xffff), math.random(0, 0x7fffffff), name, name)
  end
  -- A weight up to 70 kg and a second of five years, each its own.
  local weight = math.random(1, 70000)
  local created = os.date("!%Y-%m-%dT%H%%3A%M%%3A%S", 1500000000 + math.random(0, 150000000))
  local forwarded = ""
  if addresses > 0 then
    local address = math.random(0, addresses - 1)
    forwarded = string.format("X-Forwarded-For: 198.18.%d.%d\r\n", math.floor(address / 256), address % 256)
  end
  return string.format(
    "GET /next-tracking-number?%s&weight=%d.%03d&created_at=%s%%2B08%%3A00&%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n",
    routes[draw_routes[draw]], math.floor(weight / 1000), weight % 1000, created, customer, forwarded)
end

function done(summary, latency, _)
  local asked, from, to = 0, math.huge, 0
  for _, thread in ipairs(threads) do
    asked = asked + thread:get("sent")
    from = math.min(from, thread:get("started") or math.huge)
    to = math.max(to, thread:get("finished") or 0)
  end
  local errors = summary.errors
  io.write(string.format(
    '{"sent":%d,"answered":%d,"refused":%d,"broken":%d,"seconds":%.6f,"p50":%.0f,"p99":%.0f,"longest":%.0f}\n',
    asked, summary.requests - errors.status, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    to - from, latency:percentile(50), latency:percentile(99), latency.max))
end
