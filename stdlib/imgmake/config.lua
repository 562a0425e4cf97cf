--- The `config` step: what an image says about how to run it.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local config = {}

---@class imgmake.Healthcheck
---@field test string|string[]|false  a shell command, an argument vector, or false for none
---@field interval? string            "30s"
---@field timeout? string
---@field start_period? string
---@field start_interval? string      "5s", during start_period
---@field retries? integer

---@class imgmake.Config
---@field entrypoint? string|string[]  an argument vector; one string is run by the shell
---@field cmd? string|string[]
---@field expose? (integer|string)[]   8080 or "53/udp"
---@field volumes? string[]
---@field labels? table<string, string>
---@field annotations? table<string, string>
---@field stop_signal? string          "SIGTERM"
---@field healthcheck? imgmake.Healthcheck
---@field shell? string[]              what runs commands given as one string
---@field onbuild? string[]            instructions for Dockerfiles that stand on it, in place of what there are
---@field author? string

local function list_of(v, who)
  return type(v) == "table" and check.items(v, who) or { v }
end

local function ports(v, who)
  local out = {}
  for i, port in ipairs(list_of(v, who)) do
    local text = math.type(port) == "integer" and ("%d"):format(port) or port
    local number, protocol
    if type(text) == "string" then
      number, protocol = text:match("^(%d+)/?(%l*)$")
    end
    number = tonumber(number)
    if not number or number < 1 or number > 65535
        or not (protocol == "" or protocol == "tcp" or protocol == "udp" or protocol == "sctp") then
      return nil, 'a list of ports like 8080 or "53/udp"'
    end
    out[i] = ("%d/%s"):format(number, protocol == "" and "tcp" or protocol)
  end
  return out
end

local function command(v, who)
  if type(v) == "string" then
    return v
  end
  return check.convert(v, "strings", who), "a command: a string, or a list of strings"
end

local function signal(v)
  v = math.type(v) == "integer" and ("%d"):format(v) or v
  if type(v) == "string" and (v:find("^%u[%u%d+-]+$") or v:find("^%d%d?$")) then
    return v
  end
  return nil, 'a signal like "SIGTERM"'
end

--- Docker counts in nanoseconds.
local function nanoseconds(v)
  local ms = type(v) == "string" and v:match("^(%d+)ms$")
  if ms and #ms <= 12 then
    return tonumber(ms) * 1000000
  end
  local seconds, expected = check.convert(v, "duration")
  return seconds and seconds * 1000000000, expected
end

local function no_test(v, who)
  if v == false then
    return { "NONE" }
  elseif type(v) == "string" then
    return { "CMD-SHELL", v }
  end
  local list = check.convert(v, "strings", who)
  return list and { "CMD", table.unpack(list) }, "a command, or false"
end

local function retries(v)
  if math.type(v) == "integer" and v >= 0 and v < 1000000 then
    return v
  end
  return nil, "a number"
end

local function healthcheck(v)
  if v == false then
    return { test = { "NONE" } }
  end
  local o, items = check.options("config: healthcheck", v, {
    test = no_test, interval = nanoseconds, timeout = nanoseconds, start_period = nanoseconds,
    start_interval = nanoseconds, retries = retries,
  })
  if #items > 0 then
    error("config: healthcheck: write test = …")
  end
  check.need("config: healthcheck", o, "test")
  return o
end

--- "cmd args" → what runs it
local function in_shell(v, shell)
  if type(v) ~= "string" then
    return v
  end
  local out = { table.unpack(shell or { "/bin/sh", "-c" }) }
  out[#out + 1] = v
  return out
end

--- The checked configuration as JSON.
---@return string
function config.read(body)
  local o, items = check.options("config", body, {
    entrypoint = command, cmd = command, expose = ports, volumes = "names", labels = "map",
    annotations = "map", stop_signal = signal, healthcheck = healthcheck, shell = "names",
    onbuild = "names", author = "name",
  })
  if #items > 0 then
    error('config: every entry has a name, as cmd = { "prog" }')
  end
  if o.shell and #o.shell == 0 then
    error("config: 'shell' is empty")
  end
  o.entrypoint = in_shell(o.entrypoint, o.shell)
  o.cmd = in_shell(o.cmd, o.shell)
  for _, name in ipairs { "entrypoint", "cmd", "expose", "volumes", "shell", "onbuild" } do
    o[name] = o[name] and engine.json_array(o[name])
  end
  return engine.json_encode(o)
end

return config
