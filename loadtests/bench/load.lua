-- wrk's script: POSTs one body to each model in turn, and prints what came of it as the last line.
-- Arguments: the file with the body, the number of models.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local body = file:read("*a")
  file:close()
  local requests, models, turn = {}, tonumber(arguments[2]), 0
  for model = 1, models do
    requests[model] = wrk.format("POST", "/m" .. (model - 1) .. "/invocations",
      {["content-type"] = "application/json"}, body)
  end
  request = function()
    turn = turn % models + 1
    return requests[turn]
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "p999": %.6f, "failures": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    latency:percentile(99.9) / 1e6, failures))
end
