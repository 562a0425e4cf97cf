--- A Dockerfile read a second time, with marks in place of what its variables hold, so that what is made of it can
--- be written with the variables. What a mark comes to with today's values must be what the first reading found:
--- where it is not, that is taken as it is.
local engine = require "imgmake.engine"
local expand = require "dockerfile.expand"
local read = require "dockerfile.read"
local steps = require "dockerfile.steps"
local shadow = {}
shadow.__index = shadow
--- Of a mark.
shadow.pattern = "\1imgmake (%d+)\2"

---@class imgmake.dockerfile.Symbol
---@field kind "var"|"env"|"call"
---@field name? string      of a variable
---@field default? string   with marks; nil: it has none
---@field value? string     today; nil: it was not given
---@field text? string      of a call of expand
---@field env? table<string, string>

function shadow.new(f, predefined)
  local self = setmetatable({ f = f, predefined = predefined, symbols = {}, vars = {}, globals = {}, stages = {} }, shadow)
  self.file = setmetatable({
    shadow = true, declare = function() end, arg = function() end,
    expand = function(text, env) return self:word(text, env) end,
  }, { __index = f })
  return self
end

function shadow:mark(symbol)
  self.symbols[#self.symbols + 1] = symbol
  return ("\1imgmake %d\2"):format(#self.symbols)
end

--- Pieces: strings and symbols.
function shadow:pieces(text)
  local out, at = {}, 1
  while true do
    local from, to, id = text:find(shadow.pattern, at)
    local symbol = from and self.symbols[tonumber(id)]
    if not symbol then
      out[#out + 1] = at <= #text and text:sub(at) or nil
      return out
    end
    if from > at then
      out[#out + 1] = text:sub(at, from - 1)
    end
    out[#out + 1] = symbol
    at = to + 1
  end
end

--- With today's values in place of the marks.
function shadow:today(text)
  local out = {}
  for i, piece in ipairs(self:pieces(text)) do
    out[i] = type(piece) == "table" and (piece.value or "") or piece
  end
  return table.concat(out)
end

function shadow:has_marks(text)
  return text:find(shadow.pattern) ~= nil
end

--- Whether ${NAME…} asks for more of a marked value than the value.
local function bends(self, text, env)
  for name in text:gmatch("%${([%a_][%w_]*)[^}%w_]") do
    if env[name] and self:has_marks(env[name]) then
      return true
    end
  end
  return false
end

--- expand.word, in which marks go through.
function shadow:word(text, env)
  if not bends(self, text, env) then
    return expand.word(text, env, { escape = self.f.escape })
  end
  local used, values = {}, {}
  for name in text:gmatch("%${?([%a_][%w_]*)") do
    used[name] = env[name]
    values[name] = env[name] and self:today(env[name])
    for _, piece in ipairs(self:pieces(env[name] or "")) do
      if type(piece) == "table" and piece.value == nil then
        values[name] = nil
      end
    end
  end
  local value, why = expand.word(text, values, { escape = self.f.escape })
  if not value or self.f.escape ~= "\\" then
    return value, why
  end
  return self:mark { kind = "call", text = text, env = used, value = value }
end

--- The mark of a variable; those with the same default are one.
local function variable(self, name, default, value, c)
  local all = self.vars[name]
  if not all then
    all = { name = name, line = c.line, comments = c.comments, symbols = {} }
    self.vars[name] = all
    self.vars[#self.vars + 1] = all
  end
  for _, known in ipairs(all.symbols) do
    if known.default == default then
      return known.mark
    end
  end
  local symbol = { kind = "var", name = name, default = default, value = value }
  symbol.mark = self:mark(symbol)
  all.symbols[#all.symbols + 1] = symbol
  return symbol.mark
end

local function can_vary(self, name)
  return name:find("^[%a_][%w_]*$") and not self.predefined[name]
end

--- ARG before the first FROM, which the first reading has done.
function shadow:global(c)
  for _, arg in ipairs(c.args) do
    local name, default = arg[1], arg[2]
    if not can_vary(self, name) then
      self.globals[name] = self.f.globals[name]
    else
      self.globals[name] = variable(self, name, default and self:word(default, self.globals), self.f.globals[name], c)
    end
  end
end

local function copy(t)
  local out = {}
  for k, v in rawpairs(t) do
    out[k] = v
  end
  return out
end

--- The second reading of a stage that the first is about to read.
function shadow:stage(stage)
  local own, below = copy(stage), nil
  for _, other in ipairs(self.f.stages) do
    below = below or (other.record and other.record == stage.base and self.stages[other])
  end
  own.steps, own.onbuild = {}, {}
  own.env, own.image_env, own.args = copy(stage.env), copy(stage.image_env), copy(stage.args)
  if below then
    for _, name in ipairs { "env", "image_env", "args" } do
      own[name] = copy(below[name])
    end
    own.user, own.workdir = below.user, below.workdir
  end
  for name, value in rawpairs(stage.image_env) do
    own.image_env[name], own.env[name] = own.image_env[name] or value, own.env[name] or value
  end
  self.stages[stage] = own
end

local does = {}

function does.ARG(self, stage, own, c)
  for _, arg in ipairs(c.args) do
    local name, default = arg[1], arg[2]
    own.env[name], own.args[name] = stage.env[name], stage.args[name]
    if can_vary(self, name) then
      local marked = default and self:word(default, own.env) or nil
      if default == nil and self.globals[name] then
        own.env[name] = self.globals[name]
      else
        own.env[name] = variable(self, name, marked, stage.env[name], c)
      end
      own.args[name] = true
    end
  end
end

--- Names of the environment so far may stay names: the engine replaces them.
function does.ENV(self, stage, own, c)
  local names, before = {}, copy(own.env)
  steps.ENV(self.file, own, c)
  for name, value in rawpairs(before) do
    names[name] = value
    if own.image_env[name] and not own.args[name] then
      names[name] = self:mark { kind = "env", name = name, value = self:today(value) }
    end
  end
  local step = own.steps[#own.steps]
  step.order = {}
  for _, pair in ipairs(c.pairs) do
    local name = self:today(self.file.expand(pair[1], before) or "")
    local value = expand.word(pair[2], names, { escape = self.f.escape })
    if value and step.env[name] and not bends(self, pair[2], names) then
      step.env[name] = value:gsub("%${", "$${")
    end
    step.order[#step.order + 1] = name
  end
end

--- A port may be a variable's.
function does.EXPOSE(self, _, own, c)
  local ports = {}
  for _, text in ipairs(c.words) do
    local value = self.file.expand(text, own.env)
    if value and value:find("^" .. shadow.pattern .. "$") then
      ports[#ports + 1] = value .. "/tcp"
    else
      for _, port in ipairs(read.ports(c, value)) do
        ports[#ports + 1] = port
      end
    end
  end
  steps.config(own, c, { expose = engine.json_array(ports) })
end

--- What the first reading found, with marks where they come to the same. Sets *lost where they do not.
local function merge(self, found, marked, lost)
  if type(found) == "string" then
    if type(marked) == "string" and self:today(marked) == found then
      return marked
    end
    lost.any = lost.any or (type(marked) == "string" and self:has_marks(marked)) or marked == nil
    return found
  elseif type(found) ~= "table" then
    return found
  end
  local out = {}
  for k, v in rawpairs(found) do
    if k == "from" or k == "file" or k == "line" then
      out[k] = v
    elseif k == "config" then
      out[k] = merge(self, engine.json_decode(v), type(marked) == "table" and marked[k]
        and engine.json_decode(marked[k]) or nil, lost)
    else
      out[k] = merge(self, v, type(marked) == "table" and marked[k] or nil, lost)
    end
  end
  return out
end

--- Variables that nobody has given a value are in no step's environment today, and will be when they have one.
local function add_not_given(self, out, marked)
  for name, value in rawpairs(marked.env or {}) do
    local pieces = self:pieces(value)
    if not out.env[name] and #pieces == 1 and type(pieces[1]) == "table" and pieces[1].value == nil then
      out.env[name] = value
    end
  end
end

---The steps that the first reading made of `c`, from `first` on, with marks. Also whether some variable is lost.
---@return table[] steps, boolean lost
function shadow:command(stage, c, first)
  local own, out, lost = self.stages[stage], {}, {}
  local before = #own.steps
  local ok = pcall(function()
    if does[c.name] then
      does[c.name](self, stage, own, c)
    else
      steps[c.name](self.file, own, c)
    end
  end)
  for i = first, #stage.steps do
    local found, marked = stage.steps[i], ok and own.steps[before + 1 + i - first] or nil
    marked = marked and marked.kind == found.kind and marked or nil
    out[#out + 1] = merge(self, found, marked, lost)
    out[#out].order = marked and marked.order
    if marked and found.kind == "run" then
      add_not_given(self, out[#out], marked)
    end
  end
  return out, lost.any and c.source:find("$", 1, true) ~= nil or false
end

return shadow
