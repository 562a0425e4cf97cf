--- Variables: the command line beats IMGMAKE_VAR_NAME beats the default.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local object = require "imgmake.object"
local variable = {}

---@class imgmake.Variable
---@field [1] string          its name
---@field default? string
---@field help? string
---@field choices? string[]

--- Declarations of all Imagefiles, in order; two Imagefiles may declare the same name.
variable.all = {}
local known = {}

local function text(v)
  if type(v) == "string" and not v:find("\0", 1, true) then
    return v
  end
  return nil, "a string (values of variables are strings)"
end

local function check_choice(name, choices, value)
  for _, choice in ipairs(choices) do
    if choice == value then
      return
    end
  end
  error(("var: %s is '%s', which is not one of '%s'"):format(name, value,
    table.concat(choices, "', '")))
end

---Declares a variable and returns its value, or nil if it has none.
---@param context imgmake.Context
---@param body string|imgmake.Variable
---@return string?
function variable.declare(context, body)
  local o, items = check.options("var", body, { default = text, help = "string", choices = "names" })
  local name = items[1]
  if #items ~= 1 or type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
    error(('var: expected { "NAME", default = …, help = … }, and NAME of letters, digits and \'_\'%s')
      :format(name ~= nil and ", not " .. object.describe(name) or ""))
  elseif context.variables[name] then
    error(("var: %s is declared already, at %s"):format(name, context.variables[name]))
  end
  local record = { name = name, help = o.help or "", choices = o.choices or {} }
  record.file, record.line = engine.place()
  context.variables[name] = ("%s:%d"):format(record.file, record.line)
  record.value, record.origin = engine.override(name)
  if record.value == nil then
    record.value, record.origin = o.default, "default"
  end
  if #record.choices > 0 and record.value ~= nil then
    check_choice(name, record.choices, record.value)
  end
  known[name] = true
  variable.all[#variable.all + 1] = record
  return record.value
end

--- An ARG of a Dockerfile, which may be declared in several stages.
function variable.argument(name, default, file, line)
  if known[name] then
    return
  end
  known[name] = true
  local record = { name = name, help = "", choices = {}, file = file, line = line }
  record.value, record.origin = engine.override(name)
  if record.value == nil then
    record.value, record.origin = default, "default"
  end
  variable.all[#variable.all + 1] = record
end

--- A name that may be given although nobody declares it.
function variable.allow(name)
  known[name] = true
end

--- Called when all is evaluated: a name given on the command line that nobody declared.
function variable.finish(file)
  for _, name in ipairs(engine.overrides()) do
    if not known[name] then
      local hint = check.hint(name, known)
      if hint == "" and next(known) == nil then
        hint = " (it declares none)"
      end
      engine.raise(("no variable '%s' is declared%s"):format(name, hint), file, 1)
    end
  end
end

return variable
