--- Arguments as recipes write them: names of options, types, and the messages when they are wrong.
local engine = require "imgmake.engine"
local object = require "imgmake.object"
local check = {}

local NESTED_MAX = 100

--- Type name → function(value) that returns the value in its normal form, or nil and what was expected.
local types = {}

--- "exlude" → ", did you mean 'exclude'?"
function check.hint(name, known)
  local names = {}
  for k in pairs(known) do
    names[#names + 1] = k
  end
  local near = type(name) == "string" and engine.nearest(name, names)
  return near and (", did you mean '%s'?"):format(near) or ""
end

local function is_text(v)
  return type(v) == "string" and not v:find("\0", 1, true)
end

function types.string(v)
  if is_text(v) then
    return v
  end
  return nil, "a string"
end

function types.name(v)
  if is_text(v) and v ~= "" then
    return v
  end
  return nil, "a string that is not empty"
end

function types.boolean(v)
  if type(v) == "boolean" then
    return v
  end
  return nil, "true or false"
end

function types.integer(v)
  if math.type(v) == "integer" then
    return v
  end
  return nil, "an integer"
end

--- One string, or a list of them; holes and false are skipped, lists in it flattened.
function types.strings(v, who)
  local expected = "a string or a list of strings"
  if is_text(v) then
    return { v }
  elseif type(v) ~= "table" or object.record(v) then
    return nil, expected
  end
  local items = check.items(v, who)
  for _, s in ipairs(items) do
    if not is_text(s) then
      return nil, expected .. " (one of them is " .. object.describe(s) .. ")"
    end
  end
  return items
end

function types.names(v, who)
  local list, expected = types.strings(v, who)
  for _, s in ipairs(list or {}) do
    if s == "" then
      return nil, "a list of strings that are not empty"
    end
  end
  return list, expected
end

--- A table of strings by name; whole numbers are written as text.
function types.map(v)
  if type(v) ~= "table" or object.record(v) then
    return nil, "a table of strings by name"
  end
  local out = engine.copy_texts(v)
  if out then
    return out
  end
  out = {}
  for k, s in rawpairs(v) do
    if type(k) ~= "string" then
      return nil, "a table of strings by name (it has a value without name)"
    end
    if math.type(s) == "integer" then
      s = ("%d"):format(s)
    end
    if not is_text(s) or k == "" or k:find("\0", 1, true) then
      return nil, ("a table of strings by name ('%s' is %s)"):format(k, object.describe(s))
    end
    out[k] = s
  end
  return out
end

--- "0755" → 493
function types.mode(v)
  if type(v) == "number" then
    return nil, 'a string of octal digits, as "0755" (a number that begins with 0 is not octal in Lua)'
  elseif type(v) ~= "string" or not v:find("^0?[0-7][0-7][0-7][0-7]?$") then
    return nil, 'a string of octal digits, as "0755"'
  end
  return tonumber(v, 8)
end

--- The same, or a change of what it is: "u+x,go-w"
function types.change(v)
  if type(v) == "string" and v:find("^[ugoa]*[-+=]") and engine.change_mode(v, 0, false) then
    return v
  end
  local mode, expected = types.mode(v)
  if expected and type(v) == "string" and not v:find("^%d") then
    expected = expected .. ', or letters as chmod(1) takes them, as "u+x"'
  end
  return mode, expected
end

function types.owner(v)
  if math.type(v) == "integer" then
    v = ("%d"):format(v)
  end
  local user, group
  if type(v) == "string" then
    user, group = v:match("^([%w_][%w_.-]*%$?):([%w_][%w_.-]*%$?)$")
    user = user or v:match("^[%w_][%w_.-]*%$?$")
  end
  for _, id in pairs { user or "", group or "" } do
    if id:find("^%d+$") and (#id > 10 or tonumber(id) > 4294967294) then
      return nil, "a user id of at most 4294967294"
    end
  end
  if not user then
    return nil, 'an owner like "1000", "1000:1000" or "www-data:www-data"'
  end
  return v
end

--- "24h" → seconds; "1h30m" too.
function types.duration(v)
  local seconds = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }
  local total, rest = 0, v
  while type(rest) == "string" and rest ~= "" do
    local number, unit, tail = rest:match("^(%d+)([smhdw])(.*)$")
    if not number or #number > 9 then
      rest = nil
    else
      total = total + tonumber(number) * seconds[unit]
      rest = tail
    end
  end
  if v == "" or rest ~= "" then
    return nil, 'a time like "90s", "30m", "24h" or "7d"'
  end
  return total
end

--- "2g" → bytes; units are powers of 1024, and a number is bytes.
function types.size(v)
  local powers = { b = 0, k = 1, m = 2, g = 3, t = 4 }
  if math.type(v) == "integer" and v > 0 then
    return v
  end
  local number, unit = tostring(v):lower():match("^(%d+)([bkmgt]?)i?b?$")
  if type(v) ~= "string" or not number or #number > (unit == "" and 18 or 6) or tonumber(number) == 0 then
    return nil, 'a size like "512m" or "2g"'
  end
  return tonumber(number) << 10 * powers[unit == "" and "b" or unit]
end

--- A base, a stage or an image: something that has files.
function types.file_system(v)
  local record = object.target(v)
  if record and (record.kind == "base" or record.kind == "stage" or record.kind == "image") then
    return record
  end
  local expected = "a base, a stage or an image"
  if type(v) == "string" then
    expected = expected .. (' (write base "%s" for an image of a registry)'):format(v)
  end
  return nil, expected
end

function types.image(v)
  local record = object.target(v)
  if record and record.kind == "image" then
    return record
  end
  return nil, "an image"
end

function types.target(v)
  local record = object.target(v)
  if record and record.kind ~= "scratch" then
    return record
  end
  return nil, "a target"
end

--- One of several words.
function check.choice(...)
  local words = { ... }
  return function(v)
    for _, word in ipairs(words) do
      if v == word then
        return v
      end
    end
    return nil, 'one of "' .. table.concat(words, '", "') .. '"'
  end
end

--- The value in its normal form, or nil and what was expected: for types made of others.
function check.convert(v, kind, who)
  return (type(kind) == "function" and kind or types[kind])(v, who)
end

--- Types of one value, which need not know whose it is.
local plain = {
  string = types.string, name = types.name, boolean = types.boolean, integer = types.integer, map = types.map,
  mode = types.mode, owner = types.owner, file_system = types.file_system,
}

--- A type of one's own, by name: unlike functions in place of names it is not told whose value it gets.
function check.define(name, f)
  types[name], plain[name] = f, f
end

--- Raises unless `v` is of `kind` (a type's name or a function like those above).
function check.value(who, name, v, kind)
  local convert, out, expected = plain[kind], nil, nil
  if convert then
    out, expected = convert(v)
  else
    out, expected = check.convert(v, kind, who .. ": '" .. name .. "'")
  end
  if out == nil then
    error(("%s: '%s' must be %s, not %s"):format(who, name, expected, object.describe(v)))
  end
  return out
end

local flatten

local function add_item(who, k, v, out, depth)
  if math.type(k) ~= "integer" or k < 1 then
    error(("%s: a list has the key %s"):format(who, object.describe(k)))
  elseif type(v) == "table" and not object.record(v) then
    flatten(who, v, out, depth + 1)
  elseif v then
    out[#out + 1] = v
  end
end

function flatten(who, list, out, depth)
  if depth > NESTED_MAX then
    error(who .. ": lists are nested too deep (does one hold itself?)")
  end
  for k, v in rawpairs(list) do
    add_item(who, k, v, out, depth)
  end
  return out
end

--- The positional entries in order, through holes, without nil and false, nested lists flattened.
function check.items(list, who)
  return flatten(who, list, {}, 0)
end

--- Splits a body in named options, each checked against `spec`, and positional entries.
---@param who string        "copy", for messages
---@param body any          what the recipe gave; a lone string stands for { string }
---@param spec table<string, any>
---@return table options, any[] items
function check.options(who, body, spec)
  if type(body) == "string" then
    body = { body }
  elseif type(body) ~= "table" or object.record(body) then
    error(("%s: expected { … }, got %s"):format(who, object.describe(body)))
  end
  local options, items = engine.split(body, spec, object.meta)
  if options then
    for k, v in rawpairs(options) do
      options[k] = check.value(who, k, v, spec[k])
    end
    return options, items
  end
  options, items = {}, {}
  for k, v in rawpairs(body) do
    if type(k) ~= "string" then
      add_item(who, k, v, items, 0)
    elseif spec[k] == nil then
      error(("%s: unknown option '%s'%s"):format(who, k, check.hint(k, spec)))
    else
      options[k] = check.value(who, k, v, spec[k])
    end
  end
  return options, items
end

--- Raises unless every one of the options is there.
function check.need(who, options, ...)
  for _, name in ipairs { ... } do
    if options[name] == nil then
      error(("%s: '%s' is missing"):format(who, name))
    end
  end
end

--- The positional entries, all of which must be strings.
function check.strings(who, items, what)
  for _, v in ipairs(items) do
    if not is_text(v) then
      error(("%s: %s must be strings, not %s"):format(who, what, object.describe(v)))
    elseif v == "" then
      error(("%s: one of the %s is empty"):format(who, what))
    end
  end
  if #items == 0 then
    error(("%s: no %s given"):format(who, what))
  end
  return items
end

return check
