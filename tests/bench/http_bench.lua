-- The requests of http_bench.py, for wrk. Arguments: system (etcd; any other is Bedrock), operation (fill, put, txn or get), number of
-- keys, value size, first key to fill. fill puts the keys in order, put and get choose any; txn puts three, neighbours, in one transaction.

local system, operation, keys, value, next_fill

local base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 3, 0, -1 do
      local digit = math.floor(n / 64 ^ shift) % 64
      local used = shift >= 2 or (shift == 1 and b) or (shift == 0 and c)
      out[#out + 1] = used and base64_alphabet:sub(digit + 1, digit + 1) or "="
    end
  end
  return table.concat(out)
end

function init(arguments)
  system, operation, keys = arguments[1], arguments[2], tonumber(arguments[3])
  local size = tonumber(arguments[4])
  next_fill = tonumber(arguments[5])
  math.randomseed(os.time())
  local letters = {}
  for i = 1, size do letters[i] = string.char(math.random(97, 122)) end
  value = table.concat(letters)
  if system == "etcd" then
    value = base64(value)
    wrk.headers["Content-Type"] = "application/json"
  end
end

local function next_key()
  if operation ~= "fill" then return math.random(keys) end
  next_fill = next_fill + 1
  return (next_fill - 1) % keys + 1
end

local function name_of(key) return string.format("k%015d", key) end

local function transaction()
  local first, puts = next_key(), {}
  for i = 0, 2 do
    local name = name_of((first + i - 1) % keys + 1)
    if system == "etcd" then
      puts[#puts + 1] = '{"requestPut":{"key":"' .. base64(name) .. '","value":"' .. value .. '"}}'
    else
      puts[#puts + 1] = '{"put":{"key":"' .. name .. '","value":"' .. value .. '"}}'
    end
  end
  local list = "[" .. table.concat(puts, ",") .. "]"
  if system == "etcd" then return wrk.format("POST", "/v3/kv/txn", nil, '{"success":' .. list .. '}') end
  return wrk.format("POST", "/v1/txn", nil, '{"then":' .. list .. '}')
end

function request()
  if operation == "txn" then return transaction() end
  local key = name_of(next_key())
  if system == "etcd" then
    local name = base64(key)
    if operation == "get" then return wrk.format("POST", "/v3/kv/range", nil, '{"key":"' .. name .. '"}') end
    return wrk.format("POST", "/v3/kv/put", nil, '{"key":"' .. name .. '","value":"' .. value .. '"}')
  end
  if operation == "get" then return wrk.format("GET", "/get?key=" .. key) end
  return wrk.format("PUT", "/put?key=" .. key, nil, value)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.3f,"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d,' ..
    '"status_errors":%d,"socket_errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), latency.max, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
