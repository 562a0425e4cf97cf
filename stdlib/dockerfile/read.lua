--- What one instruction says: flags and arguments checked, variables not yet replaced. As BuildKit's
--- frontend/dockerfile/instructions does.
local engine = require "imgmake.engine"
local expand = require "dockerfile.expand"
local parse = require "dockerfile.parse"
local read = {}

---@class imgmake.dockerfile.Command
---@field name string
---@field line integer

local flags_of = {
  ADD = { chown = "text", chmod = "text", link = "boolean", checksum = "text", ["keep-git-dir"] = "boolean",
    exclude = "list", unpack = "boolean" },
  COPY = { chown = "text", chmod = "text", link = "boolean", from = "text", parents = "boolean", exclude = "list" },
  FROM = { platform = "text" },
  HEALTHCHECK = { interval = "text", timeout = "text", ["start-period"] = "text", ["start-interval"] = "text",
    retries = "text" },
  RUN = { mount = "list", network = "text", security = "text", device = "list" },
}

--- Raises an error at a line of the Dockerfile.
function read.fail(at, message, ...)
  engine.raise(message:format(...), at.file, at.line)
end
local fail = read.fail

--- ", did you mean 'x'?"
function read.hint(word, known)
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  local near = engine.nearest(word, names)
  return near and (", did you mean '%s'?"):format(near) or ""
end

local function boolean(at, name, value)
  local lower = value and value:lower() or "true"
  if lower ~= "true" and lower ~= "false" then
    fail(at, "%s: expecting true or false for the flag --%s, not '%s'", at.name, name, value)
  end
  return lower == "true"
end

local function read_flags(at, flags)
  local known, out = flags_of[at.name] or {}, {}
  for _, text in ipairs(flags) do
    local name, value = text:match("^%-%-([^=]*)=?(.*)$")
    value = text:find("=", 1, true) and value or nil
    local kind = known[name]
    if not kind then
      fail(at, "%s: unknown flag --%s%s", at.name, name, read.hint("--" .. name, (function()
        local dashed = {}
        for k in pairs(known) do
          dashed["--" .. k] = true
        end
        return dashed
      end)()))
    elseif kind ~= "list" and out[name] ~= nil then
      fail(at, "%s: the flag --%s is given twice", at.name, name)
    elseif kind == "boolean" then
      out[name] = boolean(at, name, value)
    elseif not value then
      fail(at, "%s: the flag --%s needs a value", at.name, name)
    elseif kind == "list" then
      out[name] = out[name] or {}
      table.insert(out[name], value)
    else
      out[name] = value
    end
  end
  return out
end

local function need(c, i)
  if i.rest == "" then
    fail(c, "%s requires at least one argument", c.name)
  end
end

--- NAME=VALUE …, or the old form NAME VALUE
local function pairs_of(c, i, escape)
  local words, out = parse.words(i.rest, escape), {}
  if #words == 0 then
    fail(c, "%s requires at least one argument", c.name)
  elseif not words[1]:find("=", 1, true) then
    local name, value = i.rest:match("^([^ \t\v\f\r]+)[ \t\v\f\r]+(.*)$")
    if not name then
      fail(c, "%s must have two arguments", c.name)
    end
    return { { name, value } }
  end
  for _, word in ipairs(words) do
    local name, value = word:match("^(.-)=(.*)$")
    if not name then
      fail(c, "%s: can't find = in '%s': it must be of the form NAME=VALUE", c.name, word)
    elseif name == "" then
      fail(c, "%s: names can not be blank", c.name)
    end
    out[#out + 1] = { name, value }
  end
  return out
end

local reader = {}

function reader.ARG(c, i, escape)
  need(c, i)
  c.args = {}
  for n, word in ipairs(parse.words(i.rest, escape)) do
    local name, value = word:match("^(.-)=(.*)$")
    if name == "" then
      fail(c, "ARG: names can not be blank")
    end
    c.args[n] = { name or word, value }
  end
end

function reader.ENV(c, i, escape)
  c.pairs = pairs_of(c, i, escape)
end
reader.LABEL = reader.ENV

function reader.FROM(c, i)
  local words = parse.split(i.rest)
  if #words == 3 and words[2]:lower() == "as" then
    c.stage = words[3]:lower()
    if not c.stage:find("^[a-z][a-z0-9_.-]*$") then
      fail(c, "FROM: invalid name for a build stage: '%s': it begins with a letter, and has letters, digits, "
        .. "'-', '_' and '.'", words[3])
    end
  elseif #words ~= 1 then
    fail(c, "FROM requires either one or three arguments")
  end
  c.base = words[1]
end

local function sources(c, i)
  local words = i.json or parse.split(i.rest)
  if #words < 2 then
    fail(c, "%s requires at least two arguments%s", c.name, #words == 1
      and ", but only one was provided: the destination could not be determined" or "")
  end
  c.to = table.remove(words)
  if parse.heredoc(c.to) then
    fail(c, "%s cannot accept a heredoc as a destination", c.name)
  end
  c.sources, c.files = {}, {}
  local docs = {}
  for _, doc in ipairs(i.heredocs) do
    docs[doc.name] = doc
  end
  for _, word in ipairs(words) do
    local doc = not i.json and parse.heredoc(word)
    if doc and docs[doc.name] then
      local text = docs[doc.name].text
      c.files[#c.files + 1] = { name = doc.name, expand = doc.expand, text = doc.chomp and parse.chomped(text) or text }
    else
      c.sources[#c.sources + 1] = word
    end
  end
end

reader.COPY, reader.ADD = sources, sources

local function command(c, i)
  need(c, i)
  c.exec, c.text = i.json, i.rest
end

reader.CMD, reader.ENTRYPOINT = command, command

function reader.RUN(c, i)
  command(c, i)
  c.heredocs = i.heredocs
  if i.json and #i.json == 0 then
    fail(c, "RUN requires at least one argument")
  end
end

function reader.SHELL(c, i)
  if not i.json then
    fail(c, 'SHELL requires the arguments to be in JSON form, as ["/bin/bash", "-c"]')
  elseif #i.json == 0 then
    fail(c, "SHELL requires at least one argument")
  end
  c.exec = i.json
end

local units = { ns = 1, us = 1e3, ["µs"] = 1e3, ["μs"] = 1e3, ms = 1e6, s = 1e9, m = 60e9, h = 3600e9 }

--- "1m30s" → nanoseconds, as Go's time.ParseDuration
local function duration(c, name)
  local value = c.flags[name]
  local total, rest = 0, value
  while rest and rest ~= "" and rest ~= "0" do
    local number, unit, tail = rest:match("^(%d*%.?%d*)([^%d.]+)(.*)$")
    if not number or not tonumber(number) or not units[unit] then
      fail(c, "HEALTHCHECK: --%s: '%s' is no time like 30s or 1m30s", name, value)
    end
    total = total + tonumber(number) * units[unit]
    rest = tail
  end
  if value == "" then
    return nil
  elseif total > 0 and total < 1e6 then
    fail(c, "HEALTHCHECK: --%s: it cannot be less than 1ms", name)
  end
  return value and math.tointeger(total // 1) or nil
end

function reader.HEALTHCHECK(c, i)
  local kind, rest = i.rest:match("^(%S+)%s*(.*)$")
  if not kind then
    fail(c, "HEALTHCHECK requires at least one argument")
  elseif kind:upper() == "NONE" then
    if rest ~= "" or #i.flags > 0 then
      fail(c, "HEALTHCHECK NONE takes no arguments")
    end
    c.health = { test = { "NONE" } }
    return
  elseif kind:upper() ~= "CMD" then
    fail(c, "HEALTHCHECK: unknown type '%s', expected CMD or NONE", kind)
  elseif rest == "" or (i.json and #i.json == 0) then
    fail(c, "HEALTHCHECK: the command after CMD is missing")
  end
  local retries = c.flags.retries
  if retries and not (retries:find("^%d+$") and #retries <= 9) then
    fail(c, "HEALTHCHECK: --retries: '%s' is no number", retries)
  end
  c.health = {
    test = i.json and { "CMD", table.unpack(i.json) } or { "CMD-SHELL", rest },
    interval = duration(c, "interval"), timeout = duration(c, "timeout"),
    start_period = duration(c, "start-period"), start_interval = duration(c, "start-interval"),
    retries = retries and math.tointeger(tonumber(retries)),
  }
end

function reader.EXPOSE(c, i)
  need(c, i)
  c.words = parse.split(i.rest)
end

function reader.VOLUME(c, i)
  c.words = i.json or parse.split(i.rest)
  if #c.words == 0 then
    fail(c, "VOLUME requires at least one argument")
  end
end

function reader.ONBUILD(c, i)
  local inner = i.trigger.name
  if inner == "ONBUILD" then
    fail(c, "chaining ONBUILD via ONBUILD ONBUILD isn't allowed")
  elseif inner == "FROM" or inner == "MAINTAINER" then
    fail(c, "%s isn't allowed as an ONBUILD trigger", inner)
  end
  i.trigger.heredocs = i.heredocs
  read.instruction(i.trigger, c.file, "\\")
  c.expression = i.source:gsub("^%s*%a+%s*", "")
  for _, doc in ipairs(i.heredocs) do
    c.expression = c.expression .. "\n" .. doc.text .. doc.name
  end
end

local function one(c, i)
  if i.rest == "" then
    fail(c, "%s requires exactly one argument", c.name)
  end
  c.text = i.rest
end

reader.MAINTAINER, reader.STOPSIGNAL, reader.USER, reader.WORKDIR = one, one, one, one

---@param i imgmake.dockerfile.Instruction
---@return imgmake.dockerfile.Command
function read.instruction(i, file, escape)
  local c = { name = i.name, line = i.line, file = file, source = i.source,
    comments = i.comments or {}, breaks = i.breaks or {} }
  c.flags = read_flags(c, i.flags)
  reader[i.name](c, i, escape)
  return c
end

--- A field of --mount: commas separate, as in CSV.
local function csv(c, text)
  local out, at = {}, 1
  while at <= #text + 1 do
    local field, to
    if text:sub(at, at) == '"' then
      field, to = text:match('^"(.-)"()', at)
      if not field or not text:find("^,", to) and to <= #text then
        fail(c, "RUN: --mount=%s: a quote is not closed", text)
      end
    else
      field, to = text:match("^([^,]*)()", at)
    end
    out[#out + 1] = field
    at = to + 1
  end
  return out
end

local mount_keys = {
  type = true, from = true, source = true, target = true, readonly = true, readwrite = true, id = true,
  sharing = true, required = true, mode = true, uid = true, gid = true, size = true, env = true,
}
local aliases = { src = "source", dst = "target", destination = "target", ro = "readonly", rw = "readwrite" }
local shown_keys = {}
for key in pairs(mount_keys) do
  shown_keys[key] = true
end
for key in pairs(aliases) do
  shown_keys[key] = true
end
local mount_types = { bind = true, cache = true, tmpfs = true, secret = true, ssh = true }
local sharing_modes = { shared = true, private = true, locked = true }
local only_for = {
  required = { secret = true, ssh = true }, size = { tmpfs = true }, sharing = { cache = true },
  env = { secret = true }, mode = { secret = true, ssh = true, cache = true },
  uid = { secret = true, ssh = true, cache = true }, gid = { secret = true, ssh = true, cache = true },
}

local function flag_value(c, key, value)
  local words = { ["true"] = true, ["1"] = true, t = true, ["false"] = false, ["0"] = false, f = false }
  local v = words[value:lower()]
  if v == nil then
    fail(c, "RUN: --mount: invalid value for %s: '%s'", key, value)
  end
  return v
end

local function number(c, key, value, base)
  local v = value:find(base == 8 and "^[0-7]+$" or "^%d+$") and #value <= 10 and tonumber(value, base)
  if not v then
    fail(c, "RUN: --mount: invalid value '%s' for %s", value, key)
  end
  return v
end

--- "64m" → bytes
local function size(c, value)
  local n, unit = value:lower():match("^(%d+)%s*([bkmgt]?)i?b?$")
  if not n or #n > 9 then
    fail(c, "RUN: --mount: invalid value for size: '%s'", value)
  end
  return tonumber(n) << 10 * (({ b = 0, k = 1, m = 2, g = 3, t = 4 })[unit] or 0)
end

local function set_field(c, m, key, value)
  if key == "type" then
    if not mount_types[value:lower()] then
      fail(c, "RUN: unsupported mount type '%s'%s", value, read.hint(value:lower(), mount_types))
    end
    m.type = value:lower()
  elseif key == "sharing" then
    if not sharing_modes[value:lower()] then
      fail(c, "RUN: unsupported sharing value '%s'%s", value, read.hint(value:lower(), sharing_modes))
    end
    m.sharing = value:lower()
  elseif key == "readonly" then
    m.readonly = flag_value(c, key, value)
  elseif key == "readwrite" then
    m.readonly = not flag_value(c, key, value)
  elseif key == "required" then
    m.required = flag_value(c, key, value)
  elseif key == "mode" then
    m.mode = number(c, key, value, 8)
  elseif key == "uid" or key == "gid" then
    m[key] = number(c, key, value, 10)
  elseif key == "size" then
    m.size = size(c, value)
  else
    m[key] = value
  end
end

local function check_mount(c, m, given)
  for key in pairs(given) do
    if only_for[key] and not only_for[key][m.type] then
      fail(c, "RUN: unexpected key '%s' for the mount type '%s'", key, m.type)
    end
  end
  if m.type == "secret" then
    if m.from then
      fail(c, "RUN: a secret mount has no from")
    elseif not m.source and not m.target and not m.id then
      fail(c, "RUN: a secret mount needs an id or a target")
    elseif m.source and m.id then
      fail(c, "RUN: a secret mount has source or id, not both")
    end
  end
end

---A value of --mount, its variables replaced by `replace`.
---@return table
function read.mount(c, text, replace)
  local m, given = { type = "bind" }, {}
  for _, field in ipairs(csv(c, text)) do
    local name, value = field:match("^([^=]*)=(.*)$")
    name = (name or field):lower()
    local key = aliases[name] or name
    if not mount_keys[key] then
      fail(c, "RUN: unexpected key '%s' in --mount=%s%s", name, text, read.hint(name, shown_keys))
    elseif not value and key ~= "readonly" and key ~= "readwrite" and key ~= "required" then
      fail(c, "RUN: invalid field '%s' in --mount=%s: it must be KEY=VALUE", field, text)
    end
    if key == "from" and value:find("%$.") then
      fail(c, "RUN: --mount: 'from' doesn't support variable expansion, define a stage with FROM instead")
    end
    given[key] = true
    set_field(c, m, key, value and replace(value) or "true")
  end
  check_mount(c, m, given)
  return m
end

--- "8080", "8000-8010/udp", "80:8080" → { "8080/tcp", … }
function read.ports(c, text)
  local port, protocol = text:match("([^:]*)$"):match("^([^/]*)/?(.*)$")
  local first, last = port:match("^(%d+)%-?(%d*)$")
  protocol = protocol == "" and "tcp" or protocol:lower()
  first, last = tonumber(first), tonumber(last ~= "" and last or first)
  if not first or not last or last < first or last > 65535 or (port:find("%-$") ~= nil) then
    fail(c, "EXPOSE: invalid containerPort: '%s'", text)
  elseif protocol ~= "tcp" and protocol ~= "udp" and protocol ~= "sctp" then
    fail(c, "EXPOSE: invalid proto: '%s'", protocol)
  end
  local out = {}
  for p = first, last do
    out[#out + 1] = ("%d/%s"):format(p, protocol)
  end
  return out
end

read.expand = expand
return read
