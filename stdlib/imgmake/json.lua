--- JSON: null is `json.null`, keys are written sorted.
local engine = require "imgmake.engine"

---@param read fun(path: string): string  of one Imagefile
return function(read)
  ---@class imgmake.lib.json
  ---@field null lightuserdata
  local json = { null = engine.json_null }

  local function decode(text, name)
    local value, why = engine.json_decode(text)
    if value == nil and why then
      error(name .. ": " .. why)
    end
    return value
  end

  ---The value of a JSON text.
  ---@param text string
  ---@return any
  function json.decode(text)
    return decode(text, "json.decode")
  end

  ---The value of a file of the project.
  ---@param path string  relative to the Imagefile
  ---@return any
  function json.read(path)
    return decode(read(path), path)
  end

  ---Compact text; lists are arrays, other tables objects.
  ---@param value any
  ---@return string
  function json.encode(value)
    return engine.json_encode(value)
  end

  ---Marks a table as an array, so that an empty one is written as [].
  ---@generic T: table
  ---@param list T
  ---@return T
  function json.array(list)
    return engine.json_array(list)
  end

  return json
end
