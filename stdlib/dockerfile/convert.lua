--- Stages of a Dockerfile as targets, with BuildKit's meaning (frontend/dockerfile/dockerfile2llb).
local engine = require "imgmake.engine"
local expand = require "dockerfile.expand"
local git_ref = require "dockerfile.git_ref"
local object = require "imgmake.object"
local parse = require "dockerfile.parse"
local read = require "dockerfile.read"
local steps = require "dockerfile.steps"
local target = require "imgmake.target"
local convert = {}

local fail = read.fail

---@class imgmake.dockerfile.File  one Dockerfile
---@field context imgmake.Context
---@field path string               relative to the root
---@field dir string                where files are copied from, likewise
---@field ignore string             its ignore file, likewise; "" is none
---@field prefix string             of its targets' names
---@field escape string
---@field arg fun(name: string): string?   what was given for an ARG
---@field contexts table<string, string>   named contexts
---@field globals table<string, string>    ARGs in front of the first FROM, and what is predefined
---@field stages imgmake.dockerfile.Stage[]
---@field all_known boolean         every base's configuration is known

local default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

local function copy(t)
  local out = {}
  for k, v in rawpairs(t or {}) do
    out[k] = v
  end
  return out
end

local function word(f, at, text, env)
  local result, why = (f.expand or expand.word)(text, env, { escape = f.escape })
  if not result then
    fail(at, "%s: failed to process '%s': %s", at.name, text, why)
  end
  return result
end

--- Name of a platform → TARGETOS and the like
local function platform_args(out, prefix, platform)
  local os, arch, variant = platform:match("^([^/]*)/([^/]*)/?(.*)$")
  out[prefix .. "PLATFORM"], out[prefix .. "OS"], out[prefix .. "ARCH"], out[prefix .. "VARIANT"] =
    platform, os, arch, variant
  out[prefix .. "OSVERSION"] = ""
end

local function predefined(f, last)
  local asked, host = engine.platforms()
  if #asked > 1 then
    engine.raise(("a Dockerfile is built for one platform at a time, not for %s"):format(
      table.concat(asked, " and ")), f.path, 1)
  end
  f.platform = engine.platform(asked[1] or host) or host
  platform_args(f.globals, "BUILD", host)
  platform_args(f.globals, "TARGET", f.platform)
  f.globals.TARGETSTAGE = last or "default"
  for name in pairs(copy(f.globals)) do
    f.globals[name] = f.arg(name) or f.globals[name]
  end
end

--- ARG in front of the first FROM.
local function global_args(f, c)
  for _, arg in ipairs(c.args) do
    local name, default = arg[1], arg[2]
    f.declare(name, default, c)
    local given = f.arg(name)
    if given then
      f.globals[name] = given
    elseif default then
      f.globals[name] = word(f, c, default, f.globals)
    end
  end
end

--- { [name] = true } of all ARGs.
local function arg_names(globals, stages)
  local out = {}
  local function take(c)
    for _, arg in ipairs(c.args or {}) do
      out[arg[1]] = true
    end
  end
  for _, c in ipairs(globals) do
    take(c)
  end
  for _, stage in ipairs(stages) do
    for _, c in ipairs(stage.commands) do
      take(c)
    end
  end
  return out
end

--- All instructions of all stages, read before anything is made of them.
local function read_stages(f, instructions)
  local globals, last = {}, nil
  for _, i in ipairs(instructions) do
    local c = read.instruction(i, f.path, f.escape)
    local stage = f.stages[#f.stages]
    if c.name == "FROM" then
      f.stages[#f.stages + 1] = { from = c, name = c.stage, index = #f.stages, commands = {} }
      last = c.stage
    elseif stage then
      stage.commands[#stage.commands + 1] = c
    elseif c.name == "ARG" then
      globals[#globals + 1] = c
    else
      fail(c, "%s: no build stage begins before it: a Dockerfile begins with FROM", c.name)
    end
  end
  if #f.stages == 0 then
    engine.raise("the Dockerfile contains no stages to build", f.path, 1)
  end
  if f.check_args then
    f.check_args(arg_names(globals, f.stages))
  end
  predefined(f, last)
  for _, c in ipairs(globals) do
    global_args(f, c)
    if f.writer then
      f.writer:global(c)
    end
  end
end

local function declare(f, record, name)
  record.name, record.dir, record.of_dockerfile, record.ignore_file =
    f.context.prefix .. name, f.dir, true, f.ignore
  local first = object.record(f.context.names[name])
  if first then
    engine.raise(("stage '%s': the name is taken by the %s of %s:%d%s"):format(name, first.kind, first.file,
      first.line, f.main and "" or " (prefix = … gives the stages other names)"), record.file, record.line)
  end
  local handle = object.new(record, name)
  f.context.names[name] = handle
  target.all[#target.all + 1] = record
  return handle
end

--- A stage that nobody wrote.
function convert.hidden(f, at, title, body)
  if f.shadow then
    return body
  end
  f.hidden = f.hidden + 1
  local record = copy(body)
  record.kind, record.file, record.line = "stage", at.file, at.line
  declare(f, record, ("%s%s#%d"):format(f.prefix, title, f.hidden))
  record.dir, record.title = body.dir or f.dir, title
  record.fixed_platform = f.fixed and f.platform or nil
  if body.ignore_file ~= nil then
    record.ignore_file = body.ignore_file or nil
  end
  return record
end

--- An image: its base, which is asked for when something stands on it.
local function base(f, at, ref)
  local ok, why = engine.reference(ref)
  if not ok and not ref:find("^oci:") then
    fail(at, "%s: %s", at.name, why)
  end
  local before = #target.all
  local record = object.record(f.base(ref))
  if #target.all > before then
    record.file, record.line = at.file, at.line
  end
  return record
end

--- A repository of git as a stage of its files.
local function repository(f, at, name, given)
  local g, why = git_ref.read(given, read.hint)
  if why then
    fail(at, "%s: the context '%s': %s: %s", at.name, name, given, why)
  end
  local all = { kind = "git", file = at.file, line = at.line, to = "/" }
  steps.set_git(all, g)
  return convert.hidden(f, at, "context " .. name, { ignore_file = "", steps = { all } })
end

--- What --build-context gives for a name.
local function named_context(f, at, name)
  local given = f.contexts[name] or f.contexts[name:gsub(":latest$", "")]
    or f.contexts[name:gsub("^docker%.io/", ""):gsub("^library/", "")]
  if not given then
    return nil
  elseif f.known_contexts[given] then
    return f.known_contexts[given]
  end
  local scheme, rest = given:match("^([%a-]+)://(.*)$")
  local record
  if git_ref.is(given) then
    record = repository(f, at, name, given)
  elseif scheme == "docker-image" then
    record = base(f, at, rest)
  elseif scheme == "oci-layout" then
    record = base(f, at, "oci:" .. rest)
  elseif scheme then
    fail(at, "%s: the context '%s' is '%s': only directories, docker-image://, oci-layout:// and "
      .. "repositories of git are supported",
      at.name, name, given)
  else
    local ignore = given:sub(1, 1) ~= "/" and f.ignore_in(given)
    local all = { kind = "copy", file = at.file, line = at.line, sources = { "." }, to = "/", as_docker = true }
    record = convert.hidden(f, at, "context " .. name, { dir = given, ignore_file = ignore, steps = { all } })
  end
  f.known_contexts[given] = record
  return record
end

local function earlier_stage(f, stage, name)
  for i = stage.index, 1, -1 do
    if f.stages[i].name == name:lower() then
      return f.stages[i]
    end
  end
end

--- What --from names: a stage, its number, a named context, or an image. → record
function convert.from(f, stage, at, name)
  local plain = expand.word(name, {}, { escape = f.escape })
  if plain ~= name then
    fail(at, "%s: variable expansion is not supported for --from, define a new stage with FROM using ARG from "
      .. "global scope as a workaround", at.name)
  end
  local found = earlier_stage(f, stage, name)
  if not found and name:find("^%d+$") then
    found = f.stages[tonumber(name) + 1]
    if not found then
      fail(at, "%s: invalid stage index %s", at.name, name)
    end
  end
  for _, other in ipairs(f.stages) do
    if not found and other.name == name:lower() then
      found = other
    end
  end
  if found and found.index >= stage.index then
    fail(at, "%s: cannot copy from stage '%s', it needs to be defined before the current stage", at.name, name)
  elseif found then
    return found.record
  elseif name == "scratch" then
    fail(at, "%s: there is nothing in scratch", at.name)
  end
  return named_context(f, at, name) or base(f, at, name)
end

--- What a base says: environment, user, and the like.
local function take_config(f, stage, record)
  local text = engine.base_config(record.name, record.dir, stage.platform)
  if text == nil then
    record.wants_config = record.wants_config or {}
    table.insert(record.wants_config, stage.platform)
  end
  stage.known = text ~= nil and text ~= ""
  local config = stage.known and engine.json_decode(text).config or {}
  for _, item in ipairs(config.Env or {}) do
    local name, value = item:match("^([^=]*)=?(.*)$")
    stage.env[name], stage.image_env[name] = value, value
  end
  stage.user = config.User or ""
  stage.workdir = engine.path_join("/", config.WorkingDir and config.WorkingDir ~= "" and config.WorkingDir or "/")
  stage.shell = config.Shell and #config.Shell > 0 and config.Shell or nil
  stage.triggers = config.OnBuild or {}
  stage.clears_triggers = #stage.triggers > 0
end

local function inherit(stage, from)
  stage.env, stage.image_env, stage.args = copy(from.env), copy(from.image_env), copy(from.args)
  stage.user, stage.workdir, stage.shell, stage.known = from.user, from.workdir, from.shell, from.known
  stage.platform, stage.triggers = from.platform, from.onbuild
  stage.clears_triggers = #from.onbuild > 0
end

local function start(f, stage)
  local c = stage.from
  local name = word(f, c, c.base, f.globals)
  if name == "" then
    fail(c, "FROM: base name (%s) should not be blank", c.base)
  end
  stage.env, stage.image_env, stage.args, stage.onbuild, stage.steps = {}, {}, {}, {}, {}
  stage.user, stage.workdir, stage.known, stage.triggers = "", "/", true, {}
  local from = earlier_stage(f, stage, name)
  if from and not (stage.name and f.contexts[stage.name]) then
    inherit(stage, from)
    stage.base = from.record
    return
  end
  local record = stage.name and named_context(f, c, stage.name)
  if record then
    stage.commands = {}
  elseif name ~= "scratch" then
    record = named_context(f, c, name) or base(f, c, name)
  end
  stage.base = record
  if record and record.kind == "base" then
    take_config(f, stage, record)
  end
end

--- Every image has a PATH.
local function add_path(stage)
  if stage.image_env.PATH then
    return
  end
  stage.env.PATH, stage.image_env.PATH = default_path, default_path
  if stage.known then
    steps.add(stage, stage.from, { kind = "env", env = { PATH = default_path } })
    stage.has_path_step = true
  end
end

--- ONBUILD instructions of the base come first; their place is the FROM.
local function add_triggers(f, stage)
  local all = {}
  for _, text in ipairs(stage.triggers) do
    for _, i in ipairs((parse.text(text, f.path))) do
      i.line, i.comments = stage.from.line, { "ONBUILD of " .. (stage.base.name or "") }
      if i.trigger then
        i.trigger.line = i.line
      end
      all[#all + 1] = read.instruction(i, f.path, "\\")
    end
  end
  for _, c in ipairs(stage.commands) do
    all[#all + 1] = c
  end
  stage.commands = all
end

--- As long as a base is not known, what depends on its environment may look wrong.
local function dispatch(f, stage, c)
  if stage.known then
    steps[c.name](f, stage, c)
    return
  end
  local before = #stage.steps
  local ok = pcall(steps[c.name], f, stage, c)
  for i = #stage.steps, not ok and before + 1 or #stage.steps + 1, -1 do
    stage.steps[i] = nil
  end
end

local function make(f, stage, is_last)
  start(f, stage)
  local record = { file = f.path, line = stage.from.line, steps = stage.steps, from = stage.base }
  record.kind = (f.main or is_last) and "image" or "stage"
  add_path(stage)
  add_triggers(f, stage)
  stage.record = record
  local writer = f.writer
  if writer then
    writer:stage(stage)
  end
  for _, c in ipairs(stage.commands) do
    local before = #stage.steps
    dispatch(f, stage, c)
    if writer then
      writer:command(stage, c, before + 1)
    end
  end
  if #stage.onbuild > 0 or stage.clears_triggers then
    steps.config(stage, stage.from, { onbuild = engine.json_array(copy(stage.onbuild)) })
  end
  record.fixed_platform = f.fixed and stage.platform or nil
  stage.handle = declare(f, record, f.prefix .. (stage.name or "stage-" .. stage.index))
end

--- Platforms of all stages: where they differ, each target says its own.
local function find_platforms(f)
  for _, stage in ipairs(f.stages) do
    local c = stage.from
    stage.platform = f.platform
    if c.flags.platform then
      local text = word(f, c, c.flags.platform, f.globals)
      if text == "" then
        fail(c, "FROM: empty platform value from expression %s", c.flags.platform)
      end
      local normal, why = engine.platform(text)
      if not normal then
        fail(c, "FROM: --platform=%s: %s", text, why)
      end
      stage.platform = normal
      f.fixed = f.fixed or normal ~= f.platform
    end
  end
end

---@param f imgmake.dockerfile.File
---@param text string
function convert.stages(f, text)
  local instructions
  f.globals, f.stages, f.known_contexts, f.hidden = {}, {}, {}, 0
  instructions, f.escape, f.comments = parse.text(text, f.path)
  read_stages(f, instructions)
  find_platforms(f)
  for i, stage in ipairs(f.stages) do
    for k = 1, i - 1 do
      if stage.name and f.stages[k].name == stage.name then
        fail(stage.from, "FROM: the stage name '%s' is taken, at line %d", stage.name, f.stages[k].from.line)
      end
    end
    make(f, stage, i == #f.stages)
  end
  return f.stages
end

steps.from = convert.from
steps.hidden = convert.hidden
steps.word = word

return convert
