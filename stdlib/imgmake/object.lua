--- Targets and steps as recipes hold them: handles that cannot be forged or changed. What they stand
--- for is a record that only the library sees.
local engine = require "imgmake.engine"
local object = {}
local records = {}

---@class imgmake.Record
---@field kind string   "image", "copy", ...
---@field file string   the place that made it
---@field line integer

---@class imgmake.Step   what `copy`, `run` and the like return
---@class imgmake.Target what `image`, `stage` and the like return
---@field name string
---@field kind string

local target_kinds = {
  base = true, stage = true, image = true, check = true, file = true, task = true, scratch = true,
}

--- "an image", "a stage"
function object.article(noun)
  return (noun:find("^[aeiou]") and "an " or "a ") .. noun
end

local function text_of(handle)
  local record = records[handle]
  return record.name and record.kind .. " '" .. record.name .. "'" or record.kind .. " step"
end

local function visible(handle)
  local record = records[handle]
  return record.shown and { kind = record.kind, name = record.shown } or {}
end

--- One for all handles: recipes make many.
object.meta = {
  __index = function(handle, name) return visible(handle)[name] end,
  __newindex = function(handle) error(text_of(handle) .. " cannot be changed", 2) end,
  __tostring = text_of,
  __pairs = function(handle) return pairs(visible(handle)) end,
  __metatable = false,
}

---Of a target, `shown` is the name under which recipes see it.
function object.new(record, shown)
  local handle = engine.blank(object.meta)
  record.shown = shown
  records[handle] = record
  return handle
end

---@return imgmake.Record?
function object.record(value)
  return records[value]
end

function object.target(value)
  local record = records[value]
  return record and target_kinds[record.kind] and record or nil
end

function object.step(value)
  local record = records[value]
  return record and not target_kinds[record.kind] and record or nil
end

--- A value in words, for messages.
function object.describe(value)
  local record = value ~= nil and records[value]
  if record then
    return record.name and tostring(value) or object.article(tostring(value))
  elseif type(value) == "string" then
    return #value <= 40 and "the string '" .. value .. "'" or "a string"
  elseif type(value) == "number" then
    return "the number " .. value
  elseif type(value) == "nil" or type(value) == "boolean" then
    return tostring(value)
  end
  return object.article(type(value))
end

return object
