--- The Imagefile of a Dockerfile: imgmake convert.
local engine = require "imgmake.engine"
local render = require "dockerfile.render"
local shadow = require "dockerfile.shadow"
local source = require "dockerfile.source"
local stage_lines = require "dockerfile.stage_lines"
local imagefile = {}
imagefile.__index = imagefile

function imagefile.new(f, context, predefined)
  return setmetatable({ f = f, context = context, shadow = shadow.new(f, predefined), predefined = predefined,
    commands = {}, bases = {}, hidden = {}, needs_expand = false }, imagefile)
end

--- convert.lua tells what it reads, as it reads it.
function imagefile:global(c)
  self.shadow:global(c)
end

function imagefile:stage(stage)
  self.shadow:stage(stage)
  self.commands[stage] = {}
  if stage.base and stage.base.kind == "base" then
    local text = self.shadow:word(stage.from.base, self.shadow.globals)
    local same = text and self.shadow:today(text) == stage.base.name
    self.bases[stage.base] = self.bases[stage.base] or (same and text or stage.base.name)
  end
end

function imagefile:command(stage, c, first)
  local list, lost = self.shadow:command(stage, c, first)
  table.insert(self.commands[stage], {
    c = c, steps = list, lost = lost, user = stage.user, workdir = stage.workdir, shell = stage.shell,
  })
end

--- How often each target is named.
local function count_uses(self)
  local uses = {}
  local function use(record)
    if record then
      uses[record] = (uses[record] or 0) + 1
    end
  end
  local function use_steps(list)
    for _, step in ipairs(list) do
      use(step.from)
      for _, m in ipairs(step.mount or {}) do
        use(m.from)
      end
      use_steps(step.steps or {})
    end
  end
  for _, stage in ipairs(self.f.stages) do
    use(stage.base)
    for _, command in ipairs(self.commands[stage]) do
      use_steps(command.steps)
    end
  end
  return uses
end

--- web.Dockerfile → web
local function name_of_file(path)
  local file = path:match("([^/]*)$")
  return file:match("^[Dd]ockerfile%.([%w_-]+)$") or file:match("^([%w_-]+)%.[Dd]ockerfile$") or "app"
end

--- Names of targets, none of them a command's or there twice; and of locals.
local function choose_names(self)
  local taken, targets, stages = {}, {}, self.f.stages
  for name in pairs(self.context.api_names) do
    taken[name] = true
  end
  taken.expand = true
  for _, var in ipairs(self.shadow.vars) do
    var.id = source.name(var.name, "arg", taken)
  end
  for i, stage in ipairs(stages) do
    local name = stage.name or (i == #stages and name_of_file(self.f.path)) or "stage-" .. stage.index
    while self.context.reserved[name] or name == "default" or targets[name] do
      name = name .. "-stage"
    end
    targets[name] = true
    stage.target, stage.id = name, source.name(name:gsub("%-stage$", ""), "stage", taken)
  end
  return taken, targets
end

local function comment(out, lines)
  for _, line in ipairs(lines) do
    line = line:gsub("%c", "?")
    if line ~= "" or (#out > 0 and out[#out] ~= "") then
      out[#out + 1] = line == "" and "" or "-- " .. line
    end
  end
end

local function write_variables(self, out)
  for _, var in ipairs(self.shadow.vars) do
    comment(out, var.comments)
    local first, fields = var.symbols[1], {}
    if #var.symbols == 1 and first.default then
      fields[1] = source.field("default", self.render:value(first.default))
    end
    local call = source.table("var", { source.text(var.name) }, fields)
    out[#out + 1] = (var.used and self.keyword .. var.id .. " = " or "") .. source.write(call, "", #var.id + 9)
  end
end

--- Bases that several name have a local.
local function write_bases(self, out, uses, taken)
  for _, record in ipairs(self.base_order) do
    if (uses[record] or 0) > 1 then
      local name = record.name:match("([^/:@]*)[^/]*$")
      self.render.ids[record] = source.name(name == "" and "base" or name, "base", taken)
      out[#out + 1] = self.keyword .. self.render.ids[record] .. " = "
        .. source.write(self.render:base(record), "", 0)
    end
  end
end

local function find_bases(self)
  local seen, out = {}, {}
  local function take(record)
    if record and record.kind == "base" and not seen[record] then
      seen[record] = true
      out[#out + 1] = record
    end
  end
  for _, stage in ipairs(self.f.stages) do
    take(stage.base)
    for _, command in ipairs(self.commands[stage]) do
      for _, step in ipairs(command.steps) do
        for _, inner in ipairs(step.steps or { step }) do
          take(inner.from)
          for _, m in ipairs(inner.mount or {}) do
            take(m.from)
          end
        end
      end
    end
  end
  return out
end

local function platform_of(self, stage, is_image, notes)
  local text = stage.from.flags.platform
  if not text or text:find("^%${?TARGETPLATFORM}?$") then
    return nil
  elseif text:find("^%${?BUILDPLATFORM}?$") and not is_image then
    return source.field("platform", source.text("build"))
  elseif is_image then
    return source.field("platforms", source.table(nil, { source.text(stage.platform) }))
  end
  notes[#notes + 1] = ("line %d: --platform=%s: a stage is made for the platform of the image that needs it"):format(
    stage.from.line, text)
end

local function write_stage(self, out, stage, is_image, uses)
  local notes, fields, head = {}, {}, ""
  local from = stage.base and self.render:target(stage.base) or source.text("scratch")
  fields[1] = source.field("from", from)
  fields[2] = platform_of(self, stage, is_image, notes)
  if not stage.known and stage.base.kind == "base" then
    notes[#notes + 1] = ("what %s says of environment, user and triggers was not to be had when this was written")
      :format(stage.base.name)
  end
  local body = stage_lines.of(self.render, stage, self.commands[stage])
  for _, record in ipairs(self.render:take_hidden()) do
    out[#out + 1] = ""
    out[#out + 1] = record
  end
  out[#out + 1] = ""
  comment(out, stage.from.comments)
  comment(out, notes)
  if (uses[stage.record] or 0) > 0 or (stage.is_last and self.says_default) then
    head = self.keyword .. stage.id .. " = "
  end
  out[#out + 1] = ('%s%s %s {'):format(head, is_image and "image" or "stage", source.quote(stage.target))
  for _, f in ipairs(fields) do
    out[#out + 1] = "  " .. f[1] .. " = " .. source.write(f[2], "  ", 4 + #f[1]) .. ","
  end
  for _, line in ipairs(body) do
    out[#out + 1] = line
  end
  out[#out + 1] = "}"
end

--- What is above the first target.
local function write_head(self, out)
  out[#out + 1] = ("-- What %s builds, written by imgmake convert."):format((self.f.path:gsub("%c", "?")))
  local ignore = self.f.ignore
  local own = engine.path_join(self.f.dir == "" and "." or self.f.dir, ".imgmakeignore")
  if ignore ~= "" and ignore:match("([^/]*)$") ~= ".dockerignore" then
    out[#out + 1] = ("-- %s is not looked at here: call it .imgmakeignore."):format(ignore)
  elseif engine.exists(own) then
    out[#out + 1] = ("-- .imgmakeignore is looked at here, and %s is not."):format(
      ignore == "" and "was not by the Dockerfile" or ignore)
  end
  out[#out + 1] = ""
end

--- Two empty lines are one.
local function join(lines)
  local out = {}
  for _, line in ipairs(lines) do
    if line ~= "" or (out[#out] or "") ~= "" then
      out[#out + 1] = line
    end
  end
  while out[#out] == "" do
    out[#out] = nil
  end
  return table.concat(out, "\n") .. "\n"
end

---The whole Imagefile.
---@return string
function imagefile:text()
  local stages, out, body = self.f.stages, {}, {}
  local uses, last = count_uses(self), stages[#stages]
  local taken, targets = choose_names(self)
  self.base_order = find_bases(self)
  -- A function has at most 200 locals.
  self.keyword = #self.shadow.vars + #stages + #self.base_order < 150 and "local " or ""
  self.render = render.new(self, taken, targets)
  last.is_last = true
  for _, stage in ipairs(stages) do
    self.render.ids[stage.record] = stage.id
    self.says_default = self.says_default or (stage ~= last and (uses[stage.record] or 0) == 0)
  end
  write_bases(self, body, uses, taken)
  for _, stage in ipairs(stages) do
    write_stage(self, body, stage, stage == last or (uses[stage.record] or 0) == 0, uses)
  end
  if self.says_default then
    body[#body + 1] = ""
    body[#body + 1] = ("default { %s }"):format(last.id)
  end
  body[#body + 1] = ""
  comment(body, self.f.comments)
  write_head(self, out)
  write_variables(self, {}) -- finds out which of them others need
  if self.render.needs_expand then
    out[#out + 1] = self.keyword .. 'expand = require "dockerfile.expand".word'
    out[#out + 1] = ""
  end
  write_variables(self, out)
  out[#out + 1] = ""
  table.move(body, 1, #body, #out + 1, out)
  return join(out)
end

return imagefile
