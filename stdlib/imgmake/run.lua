--- The `run` step's options.
local check = require "imgmake.check"
local object = require "imgmake.object"
local run = {}

---@class imgmake.Cache
---@field path string
---@field id? string        caches with the same id are one; the path by default
---@field sharing? "shared"|"private"|"locked"
---@field export? boolean   brought to the remote cache, and from there to machines that have none yet
---@field readonly? boolean
---@field mode? string      of the directory when it is made, as "0755"
---@field uid? integer
---@field gid? integer

---@class imgmake.Mount
---@field [1]? string       a project path, or one of `from`
---@field path string       where it is in the step
---@field from? imgmake.Target
---@field type? "bind"|"tmpfs"
---@field writable? boolean what is written there is forgotten; of a target's files
---@field size? string|integer  of a tmpfs, as "64m"; half of the memory by default

---@class imgmake.Secret
---@field id string         as in --secret ID=FILE
---@field path? string      where the file is in the step, /run/secrets/ID by default
---@field env? string       the variable that holds it, instead of a file
---@field optional? boolean not having been given is no error
---@field mode? string      of the file, "0400" by default
---@field uid? integer      whose it is; the step's user by default
---@field gid? integer

---@class imgmake.Ssh
---@field path? string       of the socket
---@field optional? boolean  without an agent the step runs all the same

---@class imgmake.Run
---@field [integer] string              lines of one script, run by /bin/sh -ec
---@field exec? string[]                an argument vector instead, without shell
---@field cache? (string|imgmake.Cache)[]
---@field mount? imgmake.Mount[]
---@field secret? (string|imgmake.Secret)[]
---@field ssh? boolean|imgmake.Ssh      forward the agent's socket
---@field platform? boolean             set TARGETPLATFORM, TARGETOS, TARGETARCH, TARGETVARIANT, and BUILDPLATFORM …
---@field network? "host"|"none"|"private"
---@field env? table<string, string>    for this step only
---@field user? string|integer
---@field workdir? string
---@field inputs? string|string[]       project files that the step sees, read-only
---@field timeout? string               it fails when it takes longer, as "10m"
---@field memory? string|integer        it fails when it needs more, as "2g"
---@field pids? integer                 processes that it may have at once

--- One entry, or a list of entries, each a string or a table of options.
local function entries(v, read)
  local out = {}
  if type(v) == "table" and not object.record(v) then
    local named = false
    for k in rawpairs(v) do
      named = named or type(k) == "string"
    end
    if not named then
      for _, entry in rawpairs(v) do
        if entry then
          out[#out + 1] = read(entry)
        end
      end
      return out
    end
  end
  return { read(v) }
end

local function absolute(v)
  if type(v) == "string" and v:sub(1, 1) == "/" and not v:find("\0", 1, true) then
    return v
  end
  return nil, "an absolute path"
end

local function one_name(who, items, what)
  if #items > 1 or (items[1] and type(items[1]) ~= "string") then
    error(("%s: expected one %s"):format(who, what))
  end
  return items[1]
end

local function id(v)
  if math.type(v) == "integer" and v >= 0 and v <= 4294967294 then
    return v
  end
  return nil, "a number from 0 to 4294967294"
end

local function cache(v)
  local o, items = check.options("run: cache", v, {
    path = absolute, id = "name", sharing = check.choice("shared", "private", "locked"), export = "boolean",
    readonly = "boolean", mode = "mode", uid = id, gid = id,
  })
  o.path = o.path or check.value("run: cache", "path", one_name("run: cache", items, "path"), absolute)
  o.id = o.id or o.path
  o.sharing = o.sharing or "shared"
  return o
end

local function mount(v)
  local o, items = check.options("run: mount", v, {
    path = absolute, from = "file_system", type = check.choice("bind", "tmpfs"), writable = "boolean", size = "size",
  })
  check.need("run: mount", o, "path")
  o.type = o.type or "bind"
  o.source = one_name("run: mount", items, "source") or ""
  if o.type == "tmpfs" and (o.from or o.source ~= "") then
    error("run: mount: a tmpfs has no source")
  elseif o.type == "bind" and o.size then
    error("run: mount: 'size' is of a tmpfs")
  elseif o.writable and not o.from then
    error("run: mount: 'writable' needs from = …: the project's files are not changed")
  elseif o.type == "bind" and not o.from and o.source == "" then
    error("run: mount: a source or from = … is missing")
  end
  return o
end

local function variable(v)
  if type(v) == "string" and v:find("^[%a_][%w_]*$") then
    return v
  end
  return nil, "a name of a variable"
end

local function secret(v)
  local o, items = check.options("run: secret", v, {
    id = "name", path = absolute, env = variable, optional = "boolean", mode = "mode", uid = id, gid = id,
  })
  o.id = o.id or one_name("run: secret", items, "id")
  check.need("run: secret", o, "id")
  if not o.id:find("^[%w_][%w_.-]*$") then
    error(("run: secret: '%s' is no name of a secret"):format(o.id))
  end
  if not o.env then
    o.path = o.path or "/run/secrets/" .. o.id
  end
  return o
end

local function ssh(v)
  if type(v) == "boolean" then
    return v
  elseif type(v) ~= "table" then
    return nil, "true, or a table of options"
  end
  local o, items = check.options("run: ssh", v, { path = absolute, optional = "boolean" })
  if #items > 0 then
    error("run: ssh: every entry has a name, as path = …")
  end
  return o
end

local function list_of(read)
  return function(v)
    return entries(v, read)
  end
end

--- No program starts with less, as in Docker.
local MEMORY_MIN = 6 * 1024 * 1024

--- Limits are no input: what a step comes to does not depend on them, unless it fails.
local function check_limits(o)
  if o.timeout == 0 then
    error("run: 'timeout' must be longer than 0s")
  elseif o.memory and o.memory < MEMORY_MIN then
    error("run: 'memory' must be 6m or more")
  elseif o.pids and (o.pids < 1 or o.pids > 4194304) then
    error("run: 'pids' must be 1 to 4194304")
  end
end

function run.read(body)
  local o, items = check.options("run", body, {
    exec = "strings", cache = list_of(cache), mount = list_of(mount), secret = list_of(secret),
    ssh = ssh, platform = "boolean", network = check.choice("host", "none", "private"), env = "map",
    user = "owner", workdir = "name", inputs = "names",
    timeout = "duration", memory = "size", pids = "integer",
  })
  check_limits(o)
  if type(o.ssh) == "table" then
    o.ssh, o.ssh_path, o.ssh_optional = true, o.ssh.path, o.ssh.optional
  end
  if o.exec and #items > 0 then
    error("run: give commands or exec = { … }, not both")
  elseif o.exec and #o.exec == 0 then
    error("run: 'exec' is empty")
  end
  o.lines = o.exec and {} or check.strings("run", items, "commands")
  for name in pairs(o.env or {}) do
    if name:find("=", 1, true) then
      error(("run: '%s' is no name of a variable"):format(name))
    end
  end
  return o
end

return run
