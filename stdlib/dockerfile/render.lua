--- Steps, as the front end of Dockerfiles makes them, in the words of an Imagefile.
local engine = require "imgmake.engine"
local script = require "dockerfile.script"
local source = require "dockerfile.source"
local render = {}
render.__index = render

local field, text_of = source.field, source.text

function render.new(writer, taken, targets)
  return setmetatable({ writer = writer, f = writer.f, shadow = writer.shadow, taken = taken, targets = targets,
    ids = {}, hidden = {}, defined = {}, needs_expand = false }, render)
end

--- A symbol in Lua. Alone, what was not given may be nil where `or_nil` says so.
local function symbol_code(self, s, alone, or_nil)
  if s.kind == "call" then
    local fields = {}
    for name, value in pairs(s.env) do
      fields[#fields + 1] = field(name, self:value(value, true))
    end
    self.needs_expand = true
    return ("(expand(%s, %s))"):format(source.quote(s.text), source.write(source.table(nil, {}, fields), "", 0))
  end
  local all = self.shadow.vars[s.name]
  local default = s.default
  all.used = true
  if #all.symbols == 1 and default then
    return all.id
  elseif not default and alone and or_nil then
    return all.id
  end
  local code = all.id .. " or " .. (default and source.write(self:value(default), "", 0) or '""')
  return alone and code or "(" .. code .. ")"
end

---A text with marks, as Lua.
---@return imgmake.source.Node
function render:value(text, or_nil)
  local pieces = {}
  for _, piece in ipairs(self.shadow:pieces(text)) do
    if type(piece) == "table" and piece.kind == "env" then
      piece = "${" .. piece.name .. "}"
    end
    if type(piece) == "string" and type(pieces[#pieces]) == "string" then
      pieces[#pieces] = pieces[#pieces] .. piece
    else
      pieces[#pieces + 1] = piece
    end
  end
  if #pieces == 0 or (#pieces == 1 and type(pieces[1]) == "string") then
    return text_of(pieces[1] or "")
  end
  for i, piece in ipairs(pieces) do
    pieces[i] = type(piece) == "string" and source.quote(piece) or symbol_code(self, piece, #pieces == 1, or_nil)
  end
  return source.code(table.concat(pieces, " .. "))
end

local function values(self, list)
  local out = {}
  for i, text in ipairs(list or {}) do
    out[i] = self:value(text)
  end
  return out
end

local function list_field(self, name, list)
  return list and #list > 0 and field(name, source.table(nil, values(self, list))) or nil
end

local function text_field(self, name, text)
  return text and text ~= "" and field(name, self:value(text)) or nil
end

local function mode_field(name, mode, usual)
  return mode and mode ~= usual and field(name, text_of(("%04o"):format(mode))) or nil
end

--- A number, or the letters of a change.
local function change_field(self, name, mode, letters)
  return mode_field(name, mode) or text_field(self, name, letters)
end

local function flag(name, value)
  return value and field(name, source.code("true")) or nil
end

local function number(name, value)
  return value and field(name, source.code(("%d"):format(value))) or nil
end

--- A list of fields, some of which may be nil.
local function fields(n, ...)
  local out = {}
  for i = 1, n do
    local f = select(i, ...)
    out[#out + 1] = f
  end
  return out
end

function render:base(record)
  local name = self.writer.bases[record] or record.name
  return source.table("base", { self:value(name) })
end

--- What somebody stands on or copies from.
function render:target(record)
  if self.ids[record] then
    return source.code(self.ids[record])
  elseif record.kind == "base" then
    return { call = "base", items = { self:value(self.writer.bases[record] or record.name) }, fields = {}, in_table = true }
  end
  return source.code(self:define_hidden(record))
end

--- Of stages that nobody wrote: copies of the same, or files of the same text.
local function same_steps(a, b)
  for i, step in ipairs(a) do
    local other = b[i]
    if not other or step.text ~= other.text
      or table.concat(step.sources or {}, "\0") ~= table.concat(other.sources or {}, "\0") then
      return false
    end
  end
  return #a == #b
end

--- A stage that nobody wrote: a named context, files for a mount, a program of a heredoc.
function render:define_hidden(record)
  for _, other in ipairs(self.defined) do
    if other.title == record.title and other.dir == record.dir and same_steps(other.steps, record.steps) then
      return self.ids[other]
    end
  end
  self.defined[#self.defined + 1] = record
  local name = record.title:gsub("[^%w_.-]", "-")
  while self.targets[name] or self.writer.context.reserved[name] do
    name = name .. "-files"
  end
  self.targets[name] = true
  local id = source.name(name, "files", self.taken)
  local items = {}
  if record.dir ~= self.f.dir then
    local above, inside = self.f.dir == "" and "" or self.f.dir .. "/", nil
    if record.dir:sub(1, 1) ~= "/" and record.dir:sub(1, #above) == above then
      inside = record.dir:sub(#above + 1)
    else
      engine.raise(("the context '%s' is not below the directory of the Imagefile, which can copy nothing else"):format(
        record.dir), record.file, record.line)
    end
    for _, step in ipairs(record.steps) do
      step.sources = { inside }
    end
  end
  for _, step in ipairs(record.steps) do
    items[#items + 1] = self:step(step, {})
  end
  local call = source.table(("stage %s"):format(source.quote(name)), items,
    { field("from", text_of("scratch")) })
  call.fields_first = true
  self.ids[record] = id
  self.hidden[#self.hidden + 1] = self.writer.keyword .. id .. " = " .. source.write(call, "", 60)
  return id
end

--- Definitions that must come before what is being written.
function render:take_hidden()
  local out = self.hidden
  self.hidden = {}
  return out
end

local function in_context(self, name)
  return engine.path_join(self.f.dir == "" and "." or self.f.dir, name)
end

--- A link that is named as a source is what it leads to.
local function follow(self, name)
  for _ = 1, 40 do
    local to = engine.link(in_context(self, name))
    if not to or to:sub(1, 1) == "/" then
      return name
    end
    local next_name = engine.path_clean(engine.path_join(name:match("^(.*)/[^/]*$") or ".", to))
    if next_name:sub(1, 2) == ".." then
      return name
    end
    name = next_name
  end
  return name
end

local function is_pattern(text)
  return text:gsub("\\.", ""):find("[*?[]") ~= nil
end

--- Sources of the project as they must be written; whether they may match nothing.
local function project_sources(self, step, notes)
  local out, optional = {}, false
  for i, name in ipairs(step.sources) do
    out[i] = name
    if self.shadow:has_marks(name) then
      out[i] = name
    elseif not is_pattern(name) then
      out[i] = not step.parents and follow(self, name) or name
    else
      local found = engine.glob(self.f.dir, name)
      optional = optional or #found == 0
      if #found == 1 and #step.sources == 1 and step.to:sub(-1) ~= "/" and not step.parents then
        notes[#notes + 1] = ("of %s: the one file that matches, since its name becomes %s"):format(name, step.to)
        out[i] = found[1]
      end
    end
  end
  return out, optional
end

--- Whether a copy's sources are surely files of the project, and no directories.
local function only_files(self, step)
  for _, name in ipairs(step.sources) do
    if step.from or is_pattern(name) or self.shadow:has_marks(name) or #engine.glob(self.f.dir, name .. "/*") > 0 then
      return false
    end
  end
  return true
end

local function has_directory(self, step)
  for _, name in ipairs(step.from and {} or step.sources) do
    if not self.shadow:has_marks(name) and not is_pattern(name) and #engine.glob(self.f.dir, name .. "/*") > 0 then
      return true
    end
  end
  return step.to:sub(-1) == "/"
end

local does = {}

function does.copy(self, step, notes)
  local sources, optional = step.sources, false
  if not step.from then
    sources, optional = project_sources(self, step, notes)
  else
    for _, name in ipairs(sources) do
      optional = optional or is_pattern(name)
    end
  end
  local plain = only_files(self, step)
  local copy = source.table("copy", values(self, sources), fields(9,
    field("to", self:value(step.to)), step.from and field("from", self:target(step.from)) or nil,
    list_field(self, "exclude", step.exclude), text_field(self, "owner", step.owner),
    change_field(self, "mode", step.mode, step.chmod),
    not plain and change_field(self, "dir_mode", step.dir_mode, step.dir_chmod) or nil, flag("parents", step.parents),
    flag("optional", optional)))
  local dir_mode = step.dir_mode or step.dir_chmod and engine.change_mode(step.dir_chmod, 493, true) or 493
  if plain or dir_mode == 493 or not has_directory(self, step) then
    return copy
  end
  -- Docker's --chmod is not for the destination itself.
  return source.table("layer", { source.table("mkdir", { self:value(step.to) }, fields(2,
    text_field(self, "owner", step.owner), flag("keep", true))), copy })
end

local directories = {}
for name in ("/ /bin /boot /dev /etc /home /lib /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /usr/bin "
  .. "/usr/lib /usr/local /usr/local/bin /usr/local/etc /usr/local/lib /usr/sbin /usr/share /var /var/lib /var/log "
  .. "/var/tmp . .."):gmatch("%S+") do
  directories[name] = true
end

function does.write(self, step)
  local path = step.path
  if step.name then
    local clean = engine.path_clean(path)
    if path:sub(-1) == "/" or directories[clean] or self.made[clean] then
      path = engine.path_join(path, step.name)
    end
  end
  return source.table("write", { self:value(path), self:value(step.text) }, fields(2,
    mode_field("mode", step.mode, 420), text_field(self, "owner", step.owner)))
end

function does.unpack(self, step)
  return source.table("unpack", { self:value(step.source) }, fields(3,
    field("to", self:value(step.to)), text_field(self, "owner", step.owner)))
end

function does.add(self, step)
  return source.table("add", { self:value(step.url) }, fields(6,
    field("to", self:value(step.to)), text_field(self, "sha256", step.sha256), mode_field("mode", step.mode),
    text_field(self, "owner", step.owner), flag("unpack", step.unpack)))
end

function does.git(self, step)
  return source.table("add", { self:value(step.url) }, fields(10, flag("git", true),
    text_field(self, "ref", step.ref), text_field(self, "commit", step.commit),
    text_field(self, "subdir", step.subdir), field("to", self:value(step.to)),
    list_field(self, "exclude", step.exclude), change_field(self, "mode", step.mode, step.chmod),
    text_field(self, "owner", step.owner), flag("keep_git_dir", step.keep_dir), step.no_submodules and field("submodules", source.code("false")) or nil))
end

function does.layer(self, step, notes)
  local items = {}
  for i, inner in ipairs(step.steps) do
    items[i] = self:step(inner, notes)
  end
  return source.table("layer", items)
end

function does.env(self, step)
  local out, seen = {}, {}
  for _, name in ipairs(step.order or {}) do
    if step.env[name] and not seen[name] then
      seen[name] = true
      out[#out + 1] = field(name, self:value(step.env[name]))
    end
  end
  for name, value in pairs(step.env) do
    if not seen[name] then
      out[#out + 1] = field(name, self:value(value))
    end
  end
  return source.table("env", {}, out)
end

function does.workdir(self, step)
  return source.table("workdir", { self:value(step.workdir) })
end

local function is_root(user)
  return not user or user == "" or user == "root" or user:find("^0:?0?$") ~= nil or user == "root:root"
end

function does.mkdir(self, step)
  local owned = not is_root(step.owner)
  return source.table("mkdir", values(self, step.paths), owned and {
    field("owner", self:value(step.owner)), field("keep", source.code("true")),
  } or {})
end

function does.user(self, step)
  return source.table("user", { self:value(step.user) })
end

--- Nanoseconds → "1m30s"
local function duration(ns)
  local ms = ns // 1000000
  if ms % 1000 ~= 0 then
    return ("%dms"):format(ms)
  end
  local s, out = ms // 1000, ""
  for _, unit in ipairs { { "h", 3600 }, { "m", 60 }, { "s", 1 } } do
    if s >= unit[2] then
      out = out .. ("%d%s"):format(s // unit[2], unit[1])
      s = s % unit[2]
    end
  end
  return out == "" and "0s" or out
end

local function health(self, h)
  if h.test[1] == "NONE" then
    return source.code("false")
  end
  local test = h.test[1] == "CMD-SHELL" and self:value(h.test[2])
    or source.table(nil, values(self, { table.unpack(h.test, 2) }))
  local out = { field("test", test) }
  for _, name in ipairs { "interval", "timeout", "start_period", "start_interval" } do
    out[#out + 1] = h[name] and field(name, text_of(duration(h[name]))) or nil
  end
  out[#out + 1] = number("retries", h.retries)
  return source.table(nil, {}, out)
end

--- Arguments; what the shell would be given is that text.
local function arguments(self, list, has_shell)
  if not has_shell and #list == 3 and list[1] == "/bin/sh" and list[2] == "-c" then
    return self:value(list[3])
  end
  return source.table(nil, values(self, list))
end

local function ports(self, list)
  local out = {}
  for i, port in ipairs(list) do
    local tcp = port:match("^(.*)/tcp$")
    out[i] = tcp and tcp:find("^%d+$") and source.code(tcp) or self:value(tcp or port)
  end
  return source.table(nil, out)
end

local function labels(self, map)
  local out = {}
  for name, value in pairs(map) do
    out[#out + 1] = field(name, self:value(value))
  end
  return source.table(nil, {}, out)
end

function does.config(self, step)
  local c, out = step.config, {}
  for _, name in ipairs { "author", "labels", "shell", "expose", "volumes", "stop_signal", "healthcheck",
    "entrypoint", "cmd", "onbuild" } do
    local v = c[name]
    if v == nil then
      goto continue
    elseif name == "labels" then
      v = labels(self, v)
    elseif name == "expose" then
      v = ports(self, v)
    elseif name == "healthcheck" then
      v = health(self, v)
    elseif name == "entrypoint" or name == "cmd" then
      v = arguments(self, v, c.shell ~= nil)
    elseif type(v) == "table" then
      v = source.table(nil, values(self, v))
    elseif name == "stop_signal" and not v:find("^%u[%u%d+-]+$") and not v:find("^%d%d?$")
      and not self.shadow:has_marks(v) then
      v = text_of("SIG" .. v:upper():gsub("^SIG", ""))
    else
      v = self:value(v)
    end
    out[#out + 1] = field(name, v)
    ::continue::
  end
  return source.table("config", {}, out)
end

--- One entry of a list: a string where that says all.
local function entry(items, more)
  return #more == 0 and items[1] or source.table(nil, items, more)
end

local function caches(self, list)
  local out = {}
  for i, c in ipairs(list) do
    local more = fields(6,
      c.id ~= c.path and field("id", self:value(c.id)) or nil,
      c.sharing ~= "shared" and field("sharing", text_of(c.sharing)) or nil, flag("readonly", c.readonly),
      mode_field("mode", c.mode), number("uid", c.uid), number("gid", c.gid))
    out[i] = entry({ self:value(c.path) }, more)
  end
  return #out > 0 and field("cache", source.table(nil, out)) or nil
end

local function secrets(self, list, user)
  local out = {}
  for i, s in ipairs(list) do
    local usual = s.path == "/run/secrets/" .. s.id or (s.env and not s.path)
    local root = is_root(user)
    out[i] = entry({ self:value(s.id) }, fields(6,
      not usual and field("path", self:value(s.path)) or nil, s.env and field("env", self:value(s.env)) or nil,
      flag("optional", s.optional), mode_field("mode", s.mode),
      not (root and s.uid == 0) and number("uid", s.uid) or nil,
      not (root and s.gid == 0) and number("gid", s.gid) or nil))
  end
  return #out > 0 and field("secret", source.table(nil, out)) or nil
end

--- A file, and not a directory of which the ignore file may hide something.
local function is_plain(self, from)
  local copy = from and from.title == "context" and from.steps[1]
  return copy and #copy.sources == 1 and copy.sources[1] ~= "." and not self.shadow:has_marks(copy.sources[1])
    and #engine.glob(self.f.dir, copy.sources[1] .. "/*") == 0
end

local function mounts(self, list)
  local out = {}
  for i, m in ipairs(list) do
    local from, path = m.from, m.source
    if m.type == "tmpfs" then
      out[i] = source.table(nil, {}, fields(3, field("type", text_of("tmpfs")), field("path", self:value(m.path)),
        m.size and m.size > 0 and field("size", source.code(("%d"):format(m.size))) or nil))
    else
      if from and not m.writable and is_plain(self, from) then
        path, from = from.steps[1].sources[1], nil
      end
      out[i] = source.table(nil, { self:value(path) }, fields(4,
        field("path", self:value(m.path)), from and field("from", self:target(from)) or nil,
        flag("writable", m.writable)))
    end
  end
  return #out > 0 and field("mount", source.table(nil, out)) or nil
end

local function ssh(step)
  if not step.ssh then
    return nil
  end
  local path = step.ssh_path ~= "/run/buildkit/ssh_agent.0" and step.ssh_path or nil
  local more = fields(2, path and field("path", text_of(path)) or nil, flag("optional", step.ssh_optional))
  return field("ssh", #more > 0 and source.table(nil, {}, more) or source.code("true"))
end

--- What a build says of platforms is the engine's to say.
local function environment(self, step, on_build_platform)
  local out, platform = {}, false
  for name, value in pairs(step.env) do
    local is = (name:find("^TARGET") or name:find("^BUILD")) and not name:find("STAGE$") and not name:find("OSVERSION$")
      and self.writer.predefined[name] and value == self.f.globals[name]
    if not is then
      out[#out + 1] = field(name, self:value(value, true))
    elseif not (on_build_platform and (name == "TARGETOS" or name == "TARGETARCH" or name == "TARGETVARIANT")) then
      platform = true
    end
  end
  return #out > 0 and field("env", source.table(nil, {}, out)) or nil, flag("platform", platform)
end

function does.run(self, step, notes, at)
  local c, items, exec = at.c, {}, nil
  if c.exec or step.exec[1]:find("^/dev/pipes/") then
    exec = field("exec", source.table(nil, values(self, step.exec)))
  else
    local text = step.exec[#step.exec]
    local behind, breaks = #c.source - #text, {}
    if behind >= 0 and c.source:sub(behind + 1) == text then
      for i, b in ipairs(c.breaks) do
        breaks[i] = b - behind
      end
    end
    for i, line in ipairs(script.lines(text, breaks, at.shell == nil)) do
      items[i] = text_of(line)
    end
    local packages = script.apt(text)
    if packages then
      notes[#notes + 1] = ("apt.install { %s } keeps lists and archives in a cache, and out of the layer."):format(
        #packages > 0 and '"' .. table.concat(packages, '", "') .. '"' or "…")
    end
  end
  local env, platform = environment(self, step, at.on_build_platform)
  return source.table("run", items, fields(9, exec, env, platform, caches(self, step.cache),
    mounts(self, step.mount), secrets(self, step.secret, at.user), ssh(step),
    step.network and field("network", text_of(step.network)) or nil))
end

--- One step. `notes` gets what is to be said in front of it.
function render:step(step, notes, at)
  return does[step.kind](self, step, notes, at)
end

render.is_root, render.is_pattern = is_root, is_pattern

return render
