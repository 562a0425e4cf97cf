--- The steps of a stage one below another, as a person would write them: what is made anyway left out, and what can
--- be one step joined.
local engine = require "imgmake.engine"
local render = require "dockerfile.render"
local shadow = require "dockerfile.shadow"
local source = require "dockerfile.source"
local stage_lines = {}

local is_root, is_pattern = render.is_root, render.is_pattern

--- Whether the steps behind make the working directory anyway, as root's.
local function is_made_by(self, path, following)
  local copy = following and following.kind == "copy" and following
  if not copy or (copy.owner or "") ~= "" or copy.mode or copy.chmod or self.shadow:has_marks(copy.to .. path) then
    return false
  end
  for _, name in ipairs(copy.sources) do
    if is_pattern(name) then
      return false
    end
  end
  local to = engine.path_join(path, copy.to)
  local is_dir = copy.to:sub(-1) == "/" or copy.to == "." or copy.to:sub(-2) == "/."
  return to:sub(1, #path + 1) == path .. "/" or (to == path and is_dir)
end

--- The steps of a stage one after another, each with the instruction that it is of.
local function steps_of(self, stage, commands)
  local out, all = {}, {}
  local path = stage.record.steps[1]
  if path and path.kind == "env" and stage.has_path_step then
    out[1] = { step = path, at = { c = stage.from }, notes = { "Every image has a PATH, as with Docker." } }
  end
  for _, command in ipairs(commands) do
    command.on_build_platform = (stage.from.flags.platform or ""):find("^%${?BUILDPLATFORM}?$") ~= nil
    for i, step in ipairs(command.steps) do
      all[#all + 1] = { step = step, at = command, notes = {}, comments = i == 1 and command.c.comments or nil }
    end
    if #command.steps == 0 and command.c.name ~= "ARG" and command.c.name ~= "ONBUILD" then
      all[#all + 1] = { at = command, comments = command.c.comments, notes = { ("line %d could not be converted, since the base "
        .. "is not known: %s"):format(command.c.line, command.c.source) } }
    end
    if command.lost then
      all[#all].notes[1] = ("line %d, with today's values of its variables: %s"):format(command.c.line, command.c.source)
    end
  end
  local last = stage.record.steps[#stage.record.steps]
  if last and last.kind == "config" and last.line == stage.from.line and last.config:find('"onbuild"', 1, true) then
    all[#all + 1] = { step = { kind = "config", config = engine.json_decode(last.config) }, at = { c = stage.from }, notes = {} }
  end
  for i, one in ipairs(all) do
    local step, skip = one.step, false
    if step and step.kind == "mkdir" then
      local following = all[i + 1]
      while following and following.step and not following.step.sources and following.step.kind == "config" do
        i = i + 1
        following = all[i + 1]
      end
      skip = is_root(step.owner) and (self.made[step.paths[1]] or is_made_by(self, step.paths[1], following and following.step))
      self.made[step.paths[1]] = true
    end
    if not skip then
      out[#out + 1] = one
    end
  end
  return out
end

--- env and config steps one behind another are one, where that means the same.
local function join_env(before, step)
  for name, value in pairs(step.env) do
    if before.env[name] then
      return false
    end
    for used in value:gmatch(shadow.pattern) do
      local symbol = before.symbols[tonumber(used)]
      if symbol and symbol.kind == "env" and before.env[symbol.name] then
        return false
      end
    end
  end
  for _, name in ipairs(step.order or {}) do
    table.insert(before.order, name)
  end
  for name, value in pairs(step.env) do
    before.env[name] = value
  end
  return true
end

local function join_config(before, step)
  local a, b = before.config, step.config
  if a.shell or b.shell then
    return false
  end
  for name, v in pairs(b) do
    if name == "labels" and a.labels then
      for label in pairs(v) do
        if a.labels[label] then
          return false
        end
      end
    elseif a[name] ~= nil and name ~= "expose" and name ~= "volumes" then
      return false
    end
  end
  for name, v in pairs(b) do
    if a[name] == nil then
      a[name] = v
    elseif name == "labels" then
      for label, text in pairs(v) do
        a.labels[label] = text
      end
    else
      table.move(v, 1, #v, #a[name] + 1, a[name])
    end
  end
  return true
end

local function joins(self, before, one)
  local comments = one.comments and #one.comments > 0
  if not before or not before.step or not one.step or comments or #one.notes > 0
    or before.step.kind ~= one.step.kind then
    return false
  elseif one.step.kind == "env" then
    before.step.order = before.step.order or {}
    before.step.symbols = self.shadow.symbols
    return join_env(before.step, one.step)
  end
  return one.step.kind == "config" and join_config(before.step, one.step)
end

local function add_comments(out, lines)
  for _, line in ipairs(lines or {}) do
    line = line:gsub("%c", "?")
    out[#out + 1] = line == "" and "" or "  -- " .. line
  end
end

---The steps of a stage as lines of text, indented.
---@param self table  of dockerfile.render
---@return string[]
function stage_lines.of(self, stage, commands)
  local joined, out = {}, {}
  self.made = {}
  for _, one in ipairs(steps_of(self, stage, commands)) do
    if not joins(self, joined[#joined], one) then
      joined[#joined + 1] = one
    end
  end
  for _, one in ipairs(joined) do
    local node = one.step and self:step(one.step, one.notes, one.at)
    add_comments(out, one.comments)
    add_comments(out, one.notes)
    if node then
      out[#out + 1] = "  " .. source.write(node, "  ", 3) .. ","
    end
  end
  return out
end

return stage_lines
